// What a session has used of its limits.

import { COMMANDS } from '../protocol/commands/command-table.ts'
import type { Reply } from '../words/reply.ts'
import type { Limits } from './limits.ts'

/** Counts errors, junk commands, wrong credentials and transactions. */
export class SessionUsage {
  readonly #limits: Limits
  #errors = 0
  #isRefused = false
  #junk = 0
  #authFailures = 0
  #transactions = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Too many errors: the session is to end. */
  get hasTooManyErrors(): boolean {
    return this.#errors >= this.#limits.errors
  }

  /** Many errors: replies are delayed. */
  get hasManyErrors(): boolean {
    return this.#errors >= this.#limits.softErrors
  }

  /** Too many wrong credentials: the session is to end. */
  get hasTooManyAuthFailures(): boolean {
    return this.#authFailures >= this.#limits.authFailures
  }

  /** No further transaction is allowed. */
  get hasNoTransactionsLeft(): boolean {
    return this.#transactions >= this.#limits.transactions
  }

  /** A line has come, a command or not. */
  countLine(): void {
    this.#isRefused = false
  }

  countCommand(verb: string): void {
    if (COMMANDS.get(verb)?.isJunk === true && ++this.#junk > this.#limits.junkCommands) this.#errors += 1
  }

  /** A command is one error, however many replies it gets (LMTP); a 4yz is none. */
  countReply({ code }: Reply): void {
    if (code < 500 || this.#isRefused) return
    this.#isRefused = true
    this.#errors += 1
  }

  /** Wrong credentials: a cancelled or malformed exchange is an error, not a guess. */
  countAuthFailure(): void {
    this.#authFailures += 1
  }

  countTransaction(): void {
    this.#transactions += 1
    this.#junk = 0
  }
}
