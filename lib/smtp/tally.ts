// What a session has used up of its limits.

import type { Reply } from '../words/reply.ts'
import type { Limits } from './limits.ts'

/** Verbs that bring no mail any further. */
const JUNK: ReadonlySet<string> = new Set(['NOOP', 'RSET', 'VRFY', 'EXPN', 'HELP', 'HELO', 'EHLO', 'LHLO'])

/** Counts errors, junk commands, failed attempts to authenticate and transactions. */
export class Tally {
  readonly #limits: Limits
  #errors = 0
  /** The command at hand was refused. */
  #refused = false
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

  /** A line has come, a command or not. */
  line(): void {
    this.#refused = false
  }

  command(verb: string): void {
    if (JUNK.has(verb) && ++this.#junk > this.#limits.junkCommands) this.#errors += 1
  }

  /** A command is one error, however many replies it gets (LMTP); who is to come again (4yz) has made none. */
  reply({ code }: Reply): void {
    if (code < 500 || this.#refused) return
    this.#refused = true
    this.#errors += 1
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
