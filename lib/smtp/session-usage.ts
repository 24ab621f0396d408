// What a session has used of its limits.

import { COMMANDS } from '../protocol/commands/command-table.ts'
import type { Reply } from '../words/reply.ts'
import type { Limits } from './limits.ts'

/** How a session goes on: as usual; slowly, after many errors; or not, as it has passed the named limit. */
export type Pace = 'usual' | 'slow' | 'errors' | 'authFailures'

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

  /** No further transaction is allowed. */
  get hasNoTransactionsLeft(): boolean {
    return this.#transactions >= this.#limits.transactions
  }

  /** Counts a command, or an invalid line for null; says how the session goes on. */
  countLine(verb: string | null): Pace {
    if (this.#errors >= this.#limits.errors) return 'errors'
    if (this.#authFailures >= this.#limits.authFailures) return 'authFailures'
    this.#isRefused = false
    if (verb !== null && COMMANDS.get(verb)?.isJunk === true && ++this.#junk > this.#limits.junkCommands) {
      this.#errors += 1
    }
    return this.#errors >= this.#limits.softErrors ? 'slow' : 'usual'
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
