// A server that does the wrong thing, for who tests a mail client: always the same wrong thing.

import type { Policy } from '../smtp/hooks.ts'
import { interposeWith } from '../smtp/internals.ts'
import type { SmtpHandler } from '../smtp/smtp-handler.ts'
import { interpose, type Due, type Moment } from './interpose.ts'
import { checkRules } from './misbehaviour-rules.ts'
import type { MisbehaviourCondition, MisbehaviourPoint, MisbehaviourRule } from './misbehaviour-rules.ts'

/** The newest of {@link Misbehaviour.done} that are kept. */
const MOST_DONE = 10_000

/** Something that was done wrong on purpose. */
export interface Misdeed {
  /** The rule's place in the list, from 0 on. */
  readonly rule: number
  /** The point of the session where it was done, as its rule has it. */
  readonly at: MisbehaviourPoint
  /** Which time it was that the rule fitted, from 1 on. */
  readonly nth: number
  /** The id of the session. */
  readonly session: string
}

/** A policy that misbehaves; made by {@link misbehave}. */
export class Misbehaviour implements Policy {
  readonly name = 'misbehave'
  readonly #rules: readonly MisbehaviourRule[]
  readonly #counts: number[]
  readonly #done: Misdeed[] = []

  constructor(rules: readonly MisbehaviourRule[]) {
    this.#rules = checkRules(rules)
    this.#counts = this.#rules.map(() => 0)
    interposeWith(this, handler => {
      const smtp = handler as SmtpHandler
      interpose(smtp, moment => this.#due(moment, smtp))
    })
  }

  /** What was done, in its order; the newest 10,000. */
  get done(): readonly Misdeed[] {
    return [...this.#done]
  }

  /** Counts from 1 again, and forgets what was done. */
  reset(): void {
    this.#counts.fill(0)
    this.#done.length = 0
  }

  /** The first rule that is due. Each that fits counts, whether or not it is the one. */
  #due(moment: Moment, { session }: SmtpHandler): Due | null {
    let due: Due | null = null
    for (const [i, rule] of this.#rules.entries()) {
      if (!fits(rule, moment)) continue
      const nth = (this.#counts[i] = this.#counts[i]! + 1)
      if (due !== null || !(rule.nth === undefined || [rule.nth].flat().includes(nth))) continue
      due = { rule, note: () => this.#note({ rule: i, at: rule.at, nth, session: session.id }) }
    }
    return due
  }

  #note(misdeed: Misdeed): void {
    this.#done.push(misdeed)
    if (this.#done.length > MOST_DONE) this.#done.shift()
  }
}

function fits({ at, when }: MisbehaviourRule, moment: Moment): boolean {
  if (at !== moment.point && !(at === 'command' && moment.isCommand)) return false
  if (when === undefined) return true
  return (
    matches(when.helo, [moment.helo]) &&
    matches(when.sender, [moment.sender]) &&
    matches(when.recipient, moment.recipients)
  )
}

function matches(
  wanted: MisbehaviourCondition[keyof MisbehaviourCondition],
  found: readonly (string | null)[],
): boolean {
  if (wanted === undefined) return true
  return found.some(text => {
    if (text === null) return false
    if (typeof wanted === 'string') return text.toLowerCase() === wanted.toLowerCase()
    return text.search(wanted) !== -1 // unlike test(), it leaves lastIndex alone
  })
}

/**
 * Makes a policy that misbehaves on purpose, for tests of mail clients: it answers a chosen reply, late, or cuts the
 * connection, at a chosen point, for a chosen address, the n-th time.
 *
 * At each point the first rule of the list that is due is carried out, before the session looks at order, grammar or
 * other policies. A rule counts every time that its `at` and `when` fit, over all sessions of the policy, whether or not
 * it is carried out; `reset()` counts from 1 again. Use one policy for all handlers of a server, or make one for each
 * session that is to count alone. Throws `ERR_OPTION`, with the rule and its field, for a rule that is wrong.
 *
 * ```ts
 * const misbehaviour = misbehave([
 *   { at: 'RCPT', when: { recipient: /@full\.example$/ }, reply: reply(452, '4.2.2', 'Mailbox full') },
 *   { at: 'MAIL', nth: 1, cut: true },
 *   { at: 'body', afterOctets: 10_000, cut: true },
 *   { at: 'verdict', nth: 2, cut: 'close' }, // taken, and its reply is lost [RFC 1047]
 * ])
 * const options = { policies: [misbehaviour], onMessage() {} }
 * ```
 */
export function misbehave(rules: readonly MisbehaviourRule[]): Misbehaviour {
  return new Misbehaviour(rules)
}
