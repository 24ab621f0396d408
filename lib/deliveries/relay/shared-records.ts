// The records of records.ts in a store, for all processes and machines that share it. A store keeps no texts: a recipient
// whose verdict another process has got is told a temporary refusal, and the upstream's own words when it is asked again.
//
//   refused: a known key for each refusal, and a second one once that was told
//   delivered: a known key for each message and recipient, and a second one once the client was told. The client may not
//              have heard that; then the same octets come again, and may be delivered to some again: under another number

import { type CallOptions, type Store } from '../../stores/store.ts'
import { RECORD_LIFE, type RefusedRecipient } from './records.ts'

/** Refusals of one recipient for mail of one sender that are told apart; with more in a day, the recipient is asked. */
const REFUSALS = 12
/** Deliveries of the same octets to one recipient that are told apart; with more in a day, they are delivered. */
const DELIVERIES = 12
/** Keys that are written at the same time. */
const AT_ONCE = 500

/** What is noted of a message. */
export interface Verdicts {
  readonly sender: string
  /** The client's network and the sender, to whom a refusal is told. */
  readonly from: string
  readonly refused: readonly RefusedRecipient[]
  /** The digest of the message; null if it has none. */
  readonly digest: string | null
  readonly delivered: readonly string[]
}

/** The keys of a delivery. */
interface Delivery {
  readonly has: string
  readonly told: string
  /** The recipient has the message. */
  readonly isKnown: boolean
}

/** The records of one upstream in a store. Every call rejects as those of the store do. */
export class SharedRecords {
  readonly #store: Store
  readonly #scope: string

  /** `servers`: names of the upstream, so that another upstream has other records. */
  constructor(store: Store, servers: readonly string[]) {
    this.#store = store
    this.#scope = `lmtp ${JSON.stringify(servers)}`
  }

  /** True if there may be records about mail of this sender: otherwise nothing else need be asked. */
  async concern(sender: string, call: CallOptions): Promise<boolean> {
    const [isKnown] = await this.#store.known([this.#key('sender', sender)], call)
    return isKnown === true
  }

  /** True, once, if a recipient was refused; see `DeliveryRecords.takeRefusal`. */
  async takeRefusal(from: string, recipient: string, isAlone: boolean, call: CallOptions): Promise<boolean> {
    const all = Array.from({ length: REFUSALS }, (_, n) => this.#refusal(from, recipient, n))
    const known = await this.#store.known(
      all.flatMap(({ refused, told, first }) => [refused, told, first]),
      call,
    )
    const untold = all.find(
      (_, n) => known[3 * n] === true && known[3 * n + 1] === false && (!isAlone || known[3 * n + 2]),
    )
    if (untold === undefined) return false
    await this.#store.know(untold.told, RECORD_LIFE, call)
    return true
  }

  /** The recipients among these that are not known to have the message. */
  async without(digest: string, recipients: readonly string[], call: CallOptions): Promise<readonly string[]> {
    const current = await this.#current(digest, recipients, call)
    return recipients.filter(recipient => current.get(recipient)?.isKnown !== true)
  }

  /** The client was told that these recipients have the message: the same octets are another message from here on. */
  async forgetDelivery(digest: string, recipients: readonly string[], call: CallOptions): Promise<void> {
    const current = await this.#current(digest, recipients, call)
    const known = [...current.values()].filter(({ isKnown }) => isKnown)
    await this.#knowAll(
      known.map(({ told }) => told),
      call,
    )
  }

  /** Notes the verdicts of a message. */
  async note({ sender, from, refused, digest, delivered }: Verdicts, call: CallOptions): Promise<void> {
    await this.#knowAll([this.#key('sender', sender), ...(await this.#newRefusals(from, refused, call))], call)
    if (digest === null) return
    const current = await this.#current(digest, delivered, call)
    const unknown = [...current.values()].filter(({ isKnown }) => !isKnown)
    await this.#knowAll(
      unknown.map(({ has }) => has),
      call,
    )
  }

  async #knowAll(keys: readonly string[], call: CallOptions): Promise<void> {
    for (let i = 0; i < keys.length; i += AT_ONCE) {
      await Promise.all(keys.slice(i, i + AT_ONCE).map(key => this.#store.know(key, RECORD_LIFE, call)))
    }
  }

  /** The first delivery of the message to each recipient that no client was told of; there are no more for some. */
  async #current(digest: string, recipients: readonly string[], call: CallOptions): Promise<Map<string, Delivery>> {
    const current = new Map<string, Delivery>()
    for (let n = 0, left = recipients; n < DELIVERIES && left.length > 0; n++) {
      const all = left.map(recipient => this.#delivery(digest, recipient, n))
      const known = await this.#store.known(
        all.flatMap(({ has, told }) => [has, told]),
        call,
      )
      for (const [i, recipient] of left.entries()) {
        if (known[2 * i + 1] !== true) current.set(recipient, { ...all[i]!, isKnown: known[2 * i] === true })
      }
      left = left.filter((_, i) => known[2 * i + 1] === true)
    }
    return current
  }

  #delivery(digest: string, recipient: string, n: number): { has: string; told: string } {
    const has = this.#key('has', digest, recipient, ...(n === 0 ? [] : [n]))
    return { has, told: `${has} told` }
  }

  /** The keys of refusals, under numbers that are not in use. */
  async #newRefusals(from: string, refused: readonly RefusedRecipient[], call: CallOptions): Promise<string[]> {
    const keys: string[] = []
    for (let n = 0, left = refused; n < REFUSALS && left.length > 0; n++) {
      const all = left.map(({ recipient }) => this.#refusal(from, recipient, n))
      const known = await this.#store.known(
        all.flatMap(({ refused: key, told }) => [key, told]),
        call,
      )
      const isFree = (_: unknown, i: number): boolean => known[2 * i] === false && known[2 * i + 1] === false
      for (const [i, { isFirst }] of left.entries()) {
        if (isFree(null, i)) keys.push(all[i]!.refused, ...(isFirst ? [all[i]!.first] : []))
      }
      left = left.filter((_, i) => !isFree(null, i))
    }
    return keys
  }

  #refusal(from: string, recipient: string, n: number): { refused: string; told: string; first: string } {
    const refused = this.#key('refused', from, recipient, n)
    return { refused, told: `${refused} told`, first: `${refused} first` }
  }

  #key(...parts: readonly (string | number)[]): string {
    return `${this.#scope} ${JSON.stringify(parts)}`
  }
}
