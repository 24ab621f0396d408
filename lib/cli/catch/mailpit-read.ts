// What Mailpit calls read and unread: a message is read once a program has asked for it, or has said so. The page does not
// show which are read, and a new process begins with all unread.

import type { MailEntry } from './entry.ts'
import type { MailStore } from './mail-store.ts'

/** `is:read`, `is:unread`, and their opposites with `-` or `!`, as words of a search. */
const IS = /(?<!\S)([-!]?)is:(read|unread)(?!\S)/gi

/** A search of Mailpit: words, and read or unread. */
export interface ReadQuery {
  readonly words: string
  /** Null: both. */
  readonly read: boolean | null
}

/** Takes `is:read` and `is:unread` out of a search; of several the last counts. */
export function splitQuery(query: string): ReadQuery {
  let read: boolean | null = null
  const words = query.replaceAll(IS, (_, not: string, state: string) => {
    read = (state.toLowerCase() === 'read') === (not === '')
    return ''
  })
  return { words: words.trim(), read }
}

/** Which messages are read. */
export class ReadState {
  readonly #store: MailStore
  readonly #read = new WeakSet<MailEntry>()

  constructor(store: MailStore) {
    this.#store = store
  }

  has(entry: MailEntry): boolean {
    return this.#read.has(entry)
  }

  /** Marks messages as read, or as unread. */
  mark(entries: Iterable<MailEntry>, read: boolean): void {
    for (const entry of entries) {
      if (read) this.#read.add(entry)
      else this.#read.delete(entry)
    }
  }

  /** All messages that fit a search, the newest first. */
  async find({ words, read }: ReadQuery): Promise<readonly MailEntry[]> {
    const { entries } = await this.#store.page(words, 0, Infinity)
    return read === null ? entries : entries.filter(entry => this.has(entry) === read)
  }

  /** How many of these are unread. */
  unread(entries: readonly MailEntry[]): number {
    return entries.filter(entry => !this.has(entry)).length
  }
}
