// What a session has used of its limits.

import { COMMANDS } from '../protocol/commands/command-table.ts'
import type { Reply } from '../words/reply.ts'
import { TOO_MANY_RECIPIENTS } from './known-replies.ts'
import type { Limits } from './limits.ts'

/** How a session goes on: as usual; slowly, after many errors; or not, as it has passed the named limit. */
export type Pace = 'usual' | 'slow' | 'errors' | 'authFailures'

/** Counts errors, junk commands, wrong credentials and transactions. */
export class SessionUsage {
  readonly #limits: Limits
  #errors = 0
  #isRefused = false
  #junk = 0
  #overshoot = 0
  #deferrals = 0
  #deferralsInTransaction = 0
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

  /** Counts a reply: a command is one error, however many replies it gets (LMTP). */
  countReply(reply: Reply): void {
    if (reply.code < 400 || this.#isRefused) return
    this.#isRefused = true
    if (reply.code >= 500 || !this.#hasAllowance(reply)) this.#errors += 1
  }

  /** A 4yz is free as long as its allowance lasts: nothing that a client repeats is free for ever. */
  #hasAllowance(reply: Reply): boolean {
    const { recipients, overshoot, deferrals } = this.#limits
    if (reply === TOO_MANY_RECIPIENTS) return ++this.#overshoot <= overshoot
    this.#deferrals += 1
    this.#deferralsInTransaction += 1
    return this.#deferrals <= deferrals && this.#deferralsInTransaction <= recipients
  }

  /** The command at hand belongs to a BDAT sequence that has failed, and has been counted as one error: a deferral. */
  countFailedChunk(): void {
    if (this.#isRefused) return
    this.#isRefused = true
    if (++this.#deferrals > this.#limits.deferrals) this.#errors += 1
  }

  /** Wrong credentials: a cancelled or malformed exchange is an error, not a guess. */
  countAuthFailure(): void {
    this.#authFailures += 1
  }

  /** A transaction has come to its verdict; an accepted mail starts the counts again. */
  countTransaction(isAccepted: boolean): void {
    this.#transactions += 1
    this.#deferralsInTransaction = 0
    this.#junk = 0
    if (!isAccepted) return
    this.#errors = 0
    this.#overshoot = 0
    this.#deferrals = 0
  }

  /** A transaction has ended without a verdict. */
  endTransaction(): void {
    this.#deferralsInTransaction = 0
  }
}
