// What a session has used up of its limits.

import type { Reply } from '../words/reply.ts'
import type { Limits } from './limits.ts'

/** Verbs that bring no mail any further. */
const JUNK: ReadonlySet<string> = new Set(['NOOP', 'RSET', 'VRFY', 'EXPN', 'HELP', 'HELO', 'EHLO', 'LHLO'])

/** Counts errors, junk commands, failed attempts to authenticate and transactions. */
export class Tally {
  readonly #limits: Limits
  #errors = 0
  #junk = 0
  #authFailures = 0
  #transactions = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Too many errors: the session is over. */
  get hopeless(): boolean {
    return this.#errors >= this.#limits.errors
  }

  /** Many errors: the client waits for its replies. */
  get slow(): boolean {
    return this.#errors >= this.#limits.softErrors
  }

  /** As many transactions as there may be. */
  get spent(): boolean {
    return this.#transactions >= this.#limits.transactions
  }

  command(verb: string): void {
    if (JUNK.has(verb) && ++this.#junk > this.#limits.junkCommands) this.#errors += 1
  }

  reply(reply: Reply): void {
    if (!reply.positive) this.#errors += 1
  }

  /** Returns true where it was the last attempt. */
  authFailure(): boolean {
    this.#authFailures += 1
    return this.#authFailures >= this.#limits.authFailures
  }

  transaction(): void {
    this.#transactions += 1
    this.#junk = 0
  }
}
