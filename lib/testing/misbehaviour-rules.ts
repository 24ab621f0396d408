// What a rule of misbehaviour may say, and what is wrong where one says it badly.

import { LONGEST_TIMER } from '../time/clock.ts'
import { didYouMean, show, wrong } from '../words/option-checks.ts'
import { Reply } from '../words/reply.ts'
import { VERBS, type Verb } from '../protocol/commands/command-table.ts'
import type { Cut } from './cut-off.ts'

/**
 * A point of a session: `'greeting'`; a command by its verb; `'command'`, each of them; `'body'`, inside of the mail data;
 * `'verdict'`, where the message was taken and its reply is due.
 */
export type MisbehaviourPoint = 'greeting' | 'command' | 'body' | 'verdict' | Verb

const POINTS: ReadonlySet<unknown> = new Set<MisbehaviourPoint>(['greeting', 'command', 'body', 'verdict', ...VERBS])

/** What has to be so for a rule to fit. A string is the whole of it, whatever its case. */
export interface MisbehaviourCondition {
  /** The name that HELO, EHLO or LHLO gave before. */
  readonly helo?: string | RegExp
  /** The address in MAIL: of the command at hand, or of the transaction under way; `''` for the null reverse-path. */
  readonly sender?: string | RegExp
  /** The address in RCPT; elsewhere any that the transaction under way has. */
  readonly recipient?: string | RegExp
}

/** One thing to do wrong; of `reply`, `cut` and `delay` it has one at least. */
export interface MisbehaviourRule {
  /** The point of the session where the rule applies. */
  readonly at: MisbehaviourPoint
  /** Default: always. */
  readonly when?: MisbehaviourCondition
  /** Which of the times that `at` and `when` fit, from 1 on, one or several. Default: every time. */
  readonly nth?: number | readonly number[]
  /** `body` alone: octets of mail data after which it happens. Default 0, right behind the 354 reply. */
  readonly afterOctets?: number
  /** Milliseconds to wait first, by the clock of the handler; not at `body`. */
  readonly delay?: number
  /**
   * A refusing one is sent in place of what the handler would do; at `verdict` the message was taken all the same. A
   * positive one replaces the words of a positive answer. With `cut`, and at `body`, it is the last.
   */
  readonly reply?: Reply
  /** Ends the connection behind the replies before. At `body` it is `'close'` by default. */
  readonly cut?: Cut
}

const FIELDS: ReadonlySet<string> = new Set(['at', 'when', 'nth', 'afterOctets', 'delay', 'reply', 'cut'])
const CONDITIONS: ReadonlySet<string> = new Set(['helo', 'sender', 'recipient'])

/** A copy of the rules. Throws `ERR_OPTION`, with the rule and its field, for one that is wrong. */
export function checkRules(rules: readonly MisbehaviourRule[]): readonly MisbehaviourRule[] {
  if (!Array.isArray(rules)) throw wrong(`rules is a list, not ${show(rules)}`)
  return rules.map((rule: MisbehaviourRule, i) => {
    const problem = problemOf(rule)
    if (problem !== null) throw wrong(`rules[${i}]${problem}`)
    return Object.freeze({ ...rule })
  })
}

function problemOf(rule: MisbehaviourRule): string | null {
  if (typeof rule !== 'object' || rule === null) return ` is an object, not ${show(rule)}`
  const unknown = Object.keys(rule).find(key => !FIELDS.has(key))
  if (unknown !== undefined) return `.${unknown}: there is no such field${among(unknown, FIELDS)}`
  const { at, nth, afterOctets, delay, reply, cut } = rule
  if (!POINTS.has(at)) return `.at is one of ${[...POINTS].join(', ')}, not ${show(at)}`
  if (nth !== undefined && !isNth(nth)) return `.nth is a whole number above 0, or a list of them, not ${show(nth)}`
  if (afterOctets !== undefined && at !== 'body') return `.afterOctets is for body, not for ${at}`
  if (afterOctets !== undefined && !(Number.isSafeInteger(afterOctets) && afterOctets >= 0)) {
    return `.afterOctets is a whole number, 0 or more, not ${show(afterOctets)}`
  }
  if (delay !== undefined && at === 'body') return '.delay is not for body'
  if (delay !== undefined && !(typeof delay === 'number' && delay > 0 && delay <= LONGEST_TIMER)) {
    return `.delay is in milliseconds, above 0, at most ${LONGEST_TIMER}, not ${show(delay)}`
  }
  if (cut !== undefined && cut !== true && cut !== 'reset' && cut !== 'close') {
    return `.cut is true, 'reset' or 'close', not ${show(cut)}`
  }
  if (reply === undefined && cut === undefined && delay === undefined)
    return ' has no reply, no cut and no delay: give it one of them at least'
  return problemOfReply(rule) ?? problemOfCondition(rule)
}

function problemOfReply({ at, reply, cut }: MisbehaviourRule): string | null {
  if (reply === undefined) return null
  if (!(reply instanceof Reply))
    return `.reply is a Reply, such as reply(451, "4.3.0", "Try again later"), not ${show(reply)}`
  const asksForMore = reply.code >= 300 && reply.code < 400
  if (asksForMore && !(at === 'DATA' && reply.code === 354 && cut === undefined)) {
    return `.reply is 2yz, 4yz or 5yz; ${reply.code} asks for more than comes`
  }
  return null
}

function problemOfCondition({ at, when }: MisbehaviourRule): string | null {
  if (when === undefined) return null
  if (typeof when !== 'object' || when === null) return `.when is an object, not ${show(when)}`
  for (const [name, wanted] of Object.entries(when)) {
    if (!CONDITIONS.has(name)) return `.when.${name}: there is no such condition${among(name, CONDITIONS)}`
    if (wanted !== undefined && typeof wanted !== 'string' && !(wanted instanceof RegExp)) {
      return `.when.${name} is a string or a regular expression, not ${show(wanted)}`
    }
    if (at === 'greeting' || (at === 'MAIL' && name === 'recipient')) return `.when.${name} is not known at ${at}`
  }
  return null
}

function isNth(nth: unknown): boolean {
  const all: readonly unknown[] = Array.isArray(nth) ? nth : [nth]
  return all.length > 0 && all.every(each => Number.isSafeInteger(each) && (each as number) > 0)
}

/** The names that there are, and the one that was meant, if it is near. */
function among(name: string, known: ReadonlySet<string>): string {
  return `, only ${[...known].join(', ')}${didYouMean(name, known)}`
}
