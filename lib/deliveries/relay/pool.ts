// The connections to one upstream: a place for each, a queue of clients that wait for one, and those that are kept.
//
//   acquire ─ place ─ kept connection, or a new one ─→ Lease ─ release ─ RSET ─ 250 ─→ kept ─ idle ─→ QUIT
//               └ none: wait ─ too long ─→ 451
//
// A kept connection carries no identity: before its next use the upstream is told by XCLIENT of the new client. One
// that cannot be told, as it was opened with a PROXY header, or takes no second XCLIENT (Postfix), is never kept.

import { SmtpClientError } from '../../client/client-error.ts'
import type { Session } from '../../smtp/session.ts'
import { within } from '../../time/clock.ts'
import type { Lease, Opener } from './lease.ts'
import { isRefusal, type Opened } from './open.ts'
import type { ResolvedUpstream } from './options.ts'
import type { PoolUser } from './pool-user.ts'
import { SlowSenders } from './slow-senders.ts'
import { WaitingRoom } from './waiting-room.ts'

interface Connection extends Opened {
  readonly openedAt: number
  uses: number
  /** For whom the upstream has been told that it is. */
  identity: string | null
}

/** A place is taken: with a kept connection, or for a new one. */
type Place = Connection | 'new'

/** Milliseconds for the reply to RSET; nobody can use the connection meanwhile. */
const RSET_TIME = 2000
/** Milliseconds for which an upstream that refused a connection gets no more connections than it has. */
const CAP_TIME = 5000

/** The connections to one upstream. */
export class Pool {
  readonly #options: ResolvedUpstream
  readonly #opener: Opener
  /** Connections, those that are being opened or closed too. */
  #places = 0
  /** The most connections that the upstream allows, as far as is known, and until when. */
  #cap = { connections: Infinity, until: 0 }
  /** With the timer that ends each. */
  readonly #kept = new Map<Connection, unknown>()
  readonly #room: WaitingRoom<Place>
  readonly #senders: SlowSenders
  readonly #held = new Map<string, number>()
  readonly #resets = new Set<Promise<void>>() // connections that wait for the reply to RSET
  #claims = 0 // clients that wait for one of these
  #isClosed = false

  constructor(options: ResolvedUpstream, opener: Opener) {
    this.#options = options
    this.#opener = opener
    this.#room = new WaitingRoom(options.clock, options.pool.wait)
    this.#senders = new SlowSenders(options.clock)
  }

  /** Connections now, the kept ones among them, and clients that wait. */
  get counts(): { readonly connections: number; readonly kept: number; readonly waiting: number } {
    return { connections: this.#places, kept: this.#kept.size, waiting: this.#room.size }
  }

  /** Resolves with a connection for a client; rejects with an SmtpError if it would have to wait for too long. */
  async acquire({ session, network }: PoolUser, signal: AbortSignal): Promise<Lease> {
    await this.#claimReset()
    const isFull = (error: unknown): boolean => isRefusal(error) && this.#places > 0
    const place = await this.#takePlace(session, network, signal)
    try {
      return this.#lease(await this.#connect(place, session, signal), network)
    } catch (error) {
      this.#letGo(network)
      if (!isFull(error)) throw error
    }
    // Others have all the connections that the upstream allows.
    this.#cap = { connections: this.#places, until: this.#options.clock.now() + CAP_TIME }
    const second = await this.#takePlace(session, network, signal)
    try {
      return this.#lease(await this.#connect(second, session, signal), network)
    } catch (error) {
      this.#letGo(network)
      throw error
    }
  }

  /** Ends the kept connections; those in use end once they are given back. */
  close(): void {
    this.#isClosed = true
    for (const connection of this.#kept.keys()) this.#quit(connection)
  }

  /** A connection that will be free in a moment is better than a new one. */
  async #claimReset(): Promise<void> {
    if (this.#kept.size > 0 || this.#resets.size <= this.#claims) return
    this.#claims += 1
    await Promise.race(this.#resets)
    this.#claims -= 1
  }

  // ── Places ──

  /** True if a client of the network would get a connection without waiting. */
  hasRoom(network: string | null): boolean {
    return !this.#hasShare(network) && (this.#kept.size > 0 || !this.#isFull)
  }

  /** True if the network has all the connections that it may have. */
  #hasShare(network: string | null): boolean {
    const { connections, perNetwork } = this.#options.pool
    const share = Math.max(1, Math.floor(connections * perNetwork))
    return network !== null && (this.#held.get(network) ?? 0) >= share
  }

  /** Takes a place for a client of the network, or waits for one: messages that come too slowly make room meanwhile. */
  async #takePlace(session: Session | null, network: string | null, signal: AbortSignal): Promise<Place> {
    const place = this.#enter(session, network)
    if (place !== null) return place
    const endRelief = this.#senders.relieve(() => this.#isFull && !this.#hasShare(network))
    return this.#room.wait(session, network, signal).finally(endRelief)
  }

  /** Takes a place for a client of the network; null if there is none. */
  #enter(session: Session | null, network: string | null): Place | null {
    if (this.#hasShare(network)) return null
    const isFull = this.#isFull
    const kept = session === null ? this.#chooseOwn(isFull) : this.#choose(session)
    if (kept !== undefined) this.#forget(kept)
    else if (!isFull) this.#places += 1
    else return null
    this.#hold(network, 1)
    return kept ?? 'new'
  }

  /** The connection that was used last, or better one that the upstream knows to be for this client. */
  #choose(session: Session): Connection | undefined {
    let chosen: Connection | undefined
    for (const connection of this.#kept.keys()) {
      chosen = connection
      if (connection.identity?.startsWith(session.id) === true) break
    }
    return chosen
  }

  /** A connection that speaks for no client; if there is no place for another one, any, which is replaced then. */
  #chooseOwn(isFull: boolean): Connection | undefined {
    const all = [...this.#kept.keys()]
    return all.findLast(({ identity }) => identity === null) ?? (isFull ? all.at(-1) : undefined)
  }

  get #isFull(): boolean {
    const { connections } = this.#options.pool
    const isCapped = this.#options.clock.now() < this.#cap.until
    return this.#places >= (isCapped ? Math.min(connections, this.#cap.connections) : connections)
  }

  /** Lets those in who wait, as far as there are places. */
  #admit(): void {
    this.#room.admit((session, network) => this.#enter(session, network))
  }

  /** The client of the network needs its place no more: another one of it may come in. */
  #letGo(network: string | null): void {
    this.#hold(network, -1)
    this.#admit()
  }

  #hold(network: string | null, change: 1 | -1): void {
    if (network === null) return
    const held = (this.#held.get(network) ?? 0) + change
    if (held > 0) this.#held.set(network, held)
    else this.#held.delete(network)
  }

  // ── Connections ──

  async #connect(place: Place, session: Session | null, signal: AbortSignal): Promise<Connection> {
    if (place !== 'new') {
      try {
        place.identity = await this.#opener.introduce(place.client, session, place.identity)
        return place
      } catch {
        place.client.destroy() // it gives its place back; the new one takes another
        this.#places += 1
      }
    }
    const { clock, timeouts } = this.#options
    const begun = clock.now()
    const opened = await this.#opener.open(session, signal).catch((error: unknown) => {
      this.#leavePlace()
      throw error
    })
    const connection: Connection = { ...opened, openedAt: begun, uses: 0, identity: null }
    if (opened.client.destroyed) this.#leavePlace()
    else opened.client.once('close', () => this.#closed(connection))
    const left = Math.max(1, begun + timeouts.open - clock.now())
    const introducing = this.#opener.introduce(opened.client, session, null)
    connection.identity = await within(clock, left, introducing, late).catch((error: unknown) => {
      opened.client.destroy()
      throw error
    })
    return connection
  }

  #closed(connection: Connection): void {
    this.#forget(connection)
    this.#leavePlace()
  }

  #leavePlace(): void {
    this.#places -= 1
    this.#admit()
  }

  #lease(connection: Connection, network: string | null): Lease {
    const { client, server } = connection
    const isUsed = connection.uses > 0
    let isHeld = true
    const giveBack = (): boolean => {
      if (!isHeld) return false
      isHeld = false
      this.#hold(network, -1)
      return true
    }
    connection.uses += 1
    return {
      client,
      label: server.label,
      isUsed,
      watch: noteCut => {
        const cut = (): void => {
          noteCut()
          client.destroy()
        }
        return this.#senders.watch(() => client.octetsSent, cut)
      },
      release: () => {
        if (!giveBack()) return
        const taking = this.#takeBack(connection)
        this.#resets.add(taking)
        void taking.then(() => {
          this.#resets.delete(taking)
          this.#admit()
        })
      },
      discard: () => {
        giveBack()
        client.destroy()
      },
    }
  }

  /** Keeps the connection if RSET is answered 250. */
  async #takeBack(connection: Connection): Promise<void> {
    const { client } = connection
    if (client.destroyed) return
    if (!this.#mayKeep(connection)) return this.#quit(connection)
    try {
      const { code } = await within(this.#options.clock, RSET_TIME, client.rset(), late)
      if (code !== 250 || client.failure !== null || !this.#mayKeep(connection)) this.#quit(connection)
      else this.#keep(connection)
    } catch {
      client.destroy()
    }
  }

  #mayKeep({ client, identity, openedAt, uses }: Connection): boolean {
    const { pool, clientInfo, clock } = this.#options
    const isFixed = identity !== null && client.offer?.extensions.has('XCLIENT') !== true
    const isOthers = isFixed || clientInfo === 'proxy-v1' || clientInfo === 'proxy-v2'
    const isOld = uses >= pool.uses || clock.now() - openedAt >= pool.age
    return !this.#isClosed && !isOthers && !isOld && (this.#room.size > 0 || this.#kept.size < pool.kept)
  }

  #keep(connection: Connection): void {
    const { clock, pool } = this.#options
    this.#kept.set(
      connection,
      clock.after(pool.idle, () => this.#quit(connection)),
    )
  }

  #forget(connection: Connection): void {
    this.#options.clock.clear(this.#kept.get(connection))
    this.#kept.delete(connection)
  }

  /** Its place is free once it is closed. */
  #quit(connection: Connection): void {
    this.#forget(connection)
    connection.client.quit().catch(() => connection.client.destroy())
  }
}

function late(): SmtpClientError {
  return new SmtpClientError('ERR_TIMEOUT', 'no reply in time', { step: 'XCLIENT' })
}
