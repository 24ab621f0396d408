// An upstream: its connections, what it offers, which of its servers have failed.

import { SmtpClientError } from '../../client/client-error.ts'
import type { SmtpClient } from '../../client/smtp-client.ts'
import type { ServerOffer } from '../../protocol/replies/server-offer.ts'
import type { Session } from '../../smtp/session.ts'
import type { Store } from '../../stores/store.ts'
import type { TlsState } from '../../tls/tls-state.ts'
import { Circuits } from './circuit.ts'
import { proxyHeaderOf, xclientOf } from './client-info.ts'
import { upstreamChannel } from './diagnostics.ts'
import type { Lease, Opener } from './lease.ts'
import { openConnection, openingError, type Opened } from './open.ts'
import type { ResolvedServer, ResolvedUpstream } from './options.ts'
import { DeliveryRecords } from './records.ts'
import { clientUser } from './pool-user.ts'
import { Pool } from './pool.ts'
import { RetryGuard } from './retry-guard.ts'
import { SharedRecords } from './shared-records.ts'

/** What a probe of a server has found. */
export interface Probed {
  /** The server, as `'mx.example:25'` or the path of its socket. */
  readonly upstream: string
  /** What it offers, once TLS is up and AUTH is done; null if no session could be opened. */
  readonly offer: ServerOffer | null
  /** The TLS layer; null in clear. */
  readonly tls: TlsState | null
  /** Why no session could be opened; its `step` says where. */
  readonly error: SmtpClientError | null
  /** Milliseconds that it took. */
  readonly milliseconds: number
}

/** The counts of an upstream. */
export interface UpstreamStats {
  /** Its servers. */
  readonly servers: readonly string[]
  /** The servers that are left alone for now, since they have failed. */
  readonly failing: readonly string[]
  /** Connections now. */
  readonly connections: number
  /** Those among them that are kept for the next client. */
  readonly kept: number
  /** Clients that wait for one. */
  readonly waiting: number
}

/** An upstream: one or several servers that take the same mail. */
export class Upstream implements Opener {
  readonly options: ResolvedUpstream
  /** What it offered last; null before the first contact. */
  offer: ServerOffer | null = null
  /** Of messages whose recipients got different verdicts. */
  readonly #records: DeliveryRecords
  /** The same in a store; null if there is none. */
  readonly #shared: SharedRecords | null
  readonly #pool: Pool
  readonly #circuits: Circuits
  /** When it may be asked again what it offers. */
  #learnAt = -Infinity

  constructor(options: ResolvedUpstream, store: Store | null) {
    this.options = options
    const servers = options.servers.map(({ label }) => label)
    this.#shared = store === null ? null : new SharedRecords(store, servers)
    this.#records = new DeliveryRecords(options.clock)
    this.#pool = new Pool(options, this)
    this.#circuits = new Circuits(options.servers, options.circuit, options.clock)
  }

  get stats(): UpstreamStats {
    const labels = (servers: readonly ResolvedServer[]): readonly string[] => servers.map(({ label }) => label)
    return { servers: labels(this.options.servers), failing: labels(this.#circuits.open), ...this.#pool.counts }
  }

  /** Resolves with a connection for a client. Rejects with a SmtpClientError, or an SmtpError if there is none free. */
  acquire(session: Session, signal: AbortSignal): Promise<Lease> {
    return this.#pool.acquire(clientUser(session), signal)
  }

  /** The same for a question of this server itself, on behalf of a client of this network. */
  acquireOwn(network: string | null, signal: AbortSignal): Promise<Lease> {
    return this.#pool.acquire({ session: null, network }, signal)
  }

  /** True if a client of this network would get a connection now. */
  hasRoom(network: string | null): boolean {
    return this.#pool.hasRoom(network)
  }

  async open(session: Session | null, signal: AbortSignal): Promise<Opened> {
    const servers = this.#circuits.order()
    if (servers.length === 0) {
      throw new SmtpClientError('ERR_CONNECTION_LOST', 'every server has failed lately', { step: 'greeting' })
    }
    const begun = this.options.clock.now()
    const note = (server: ResolvedServer, error: SmtpClientError | null): void => {
      this.#circuits.note(server, error !== null)
      this.#publish(session, server, error, begun)
    }
    const opened = await openConnection(this.options, { servers, proxy: this.#proxy(session), signal, note })
    this.offer = opened.client.offer
    return opened
  }

  async introduce(client: SmtpClient, session: Session | null, before: string | null): Promise<string | null> {
    if (session === null) {
      if (before === null) return null
      throw new Error('the connection speaks for a client') // another one is opened
    }
    const { clientInfo } = this.options
    const isOffered = client.offer?.extensions.has('XCLIENT') === true
    if (before !== null && !isOffered)
      throw new SmtpClientError('ERR_NOT_OFFERED', 'it speaks for another client', { step: 'XCLIENT' })
    if (clientInfo !== 'xclient' && !(clientInfo === 'auto' && isOffered)) return null
    const attributes = xclientOf(session)
    const identity = `${session.id} ${JSON.stringify(attributes)}`
    if (identity !== before) this.offer = await client.xclient(attributes)
    return identity
  }

  /** Guards a transaction for the retry; null unless one verdict has to be told for those of several recipients. */
  guardRetry(session: Session, sender: string): RetryGuard | null {
    const { lmtp, clock } = this.options
    if (!lmtp || session.lmtp) return null
    return new RetryGuard({ records: this.#records, shared: this.#shared, session, sender, clock })
  }

  /** Opens a session with each server, and ends it. Never rejects. */
  async probe(): Promise<readonly Probed[]> {
    return Promise.all(this.options.servers.map(server => this.#probe(server)))
  }

  /** Asks what it offers, if that is not known: not more often than a server that fails is tried. */
  learnOffer(): void {
    const now = this.options.clock.now()
    if (this.offer !== null || now < this.#learnAt) return
    this.#learnAt = now + this.options.timeouts.open
    void this.probe()
  }

  close(): void {
    this.#pool.close()
  }

  async #probe(server: ResolvedServer): Promise<Probed> {
    const { clock } = this.options
    const begun = clock.now()
    const found = { upstream: server.label, offer: null, tls: null, error: null }
    const request = {
      servers: [server],
      proxy: this.#proxy(null),
      signal: new AbortController().signal,
      note: () => {},
    }
    try {
      const { client } = await openConnection(this.options, request)
      this.offer ??= client.offer
      const { offer, tls } = client
      client.quit().catch(() => client.destroy())
      this.#publish(null, server, null, begun)
      return { ...found, offer, tls, milliseconds: clock.now() - begun }
    } catch (error) {
      const failure = openingError(error)
      this.#publish(null, server, failure, begun)
      return { ...found, error: failure, milliseconds: clock.now() - begun }
    }
  }

  #proxy(session: Session | null): ReturnType<typeof proxyHeaderOf> | null {
    const { clientInfo } = this.options
    return clientInfo === 'proxy-v1' || clientInfo === 'proxy-v2'
      ? proxyHeaderOf(session, clientInfo === 'proxy-v1' ? 1 : 2)
      : null
  }

  #publish(session: Session | null, server: ResolvedServer, error: SmtpClientError | null, begun: number): void {
    if (!upstreamChannel.hasSubscribers) return
    upstreamChannel.publish({
      session,
      upstream: server.label,
      step: 'open',
      reply: error?.reply ?? null,
      error,
      milliseconds: this.options.clock.now() - begun,
    })
  }
}
