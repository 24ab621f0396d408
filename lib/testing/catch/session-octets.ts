// Counts the memory of dialogues. A message keeps its session, which may go on after the message: what is said then
// counts too, for one of the messages that the session brought.

import type { SessionRecord } from './session-record.ts'

interface Holders<T> {
  /** The messages that keep the session, the oldest first. */
  readonly all: Set<T>
  /** Octets of the dialogue, which are counted for the oldest. */
  octets: number
}

/** The sessions that are kept by messages. */
export class SessionOctets<T> {
  readonly #sessions = new Map<SessionRecord, Holders<T>>()
  readonly #count: (holder: T, octets: number) => void

  /** `count` adds octets to those of a message. */
  constructor(count: (holder: T, octets: number) => void) {
    this.#count = count
  }

  /** A message keeps a session from now on. */
  hold(session: SessionRecord, holder: T): void {
    const holders = this.#sessions.get(session) ?? { all: new Set(), octets: 0 }
    holders.all.add(holder)
    this.#sessions.set(session, holders)
    this.update(session)
  }

  /** Counts what a session has said since; nothing if no message keeps it. */
  update(session: SessionRecord): void {
    const holders = this.#sessions.get(session)
    if (holders === undefined) return
    const octets = session.memory - holders.octets
    holders.octets += octets
    const [oldest] = holders.all
    if (octets !== 0) this.#count(oldest!, octets)
  }

  /** A message is gone: the octets count for the next one of its session. */
  release(session: SessionRecord, holder: T): void {
    const holders = this.#sessions.get(session)
    if (holders === undefined) return
    const [oldest] = holders.all
    holders.all.delete(holder)
    const [next] = holders.all
    if (next === undefined) this.#sessions.delete(session)
    else if (oldest === holder) this.#count(next, holders.octets)
  }
}
