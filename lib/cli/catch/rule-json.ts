// Rules of misbehaviour as JSON: a reply is a line, a regular expression is text between slashes.

import { show, wrong } from '../../words/option-checks.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { misbehave, type Misbehaviour } from '../../testing/misbehave.ts'
import type { MisbehaviourCondition, MisbehaviourRule } from '../../testing/misbehaviour-rules.ts'

/** A rule as JSON has it. */
export interface RuleJson extends Omit<MisbehaviourRule, 'reply' | 'when'> {
  /** `"452 4.2.2 Mailbox full"`. */
  readonly reply?: string
  /** A text is the whole of it; `"/@full\\.example$/i"` is a regular expression. */
  readonly when?: Readonly<Partial<Record<keyof MisbehaviourCondition, string>>>
}

const MOST_RULES = 100
const EXAMPLE = '{"rules": [{"at": "RCPT", "reply": "452 4.2.2 Mailbox full"}]}'
const REPLY_LINE = /^([245]\d\d|354)(?: ([245]\.\d{1,3}\.\d{1,3}))?(?: (.*))?$/
const PATTERN = /^\/(.+)\/([a-z]*)$/

/** Reads rules; throws `ERR_OPTION`, with the rule and its field, for one that is wrong. */
export function readRules(json: unknown): {
  readonly rules: readonly RuleJson[]
  readonly policy: Misbehaviour | null
} {
  if (!Array.isArray(json)) throw wrong(`rules is a list, not ${show(json)}; the whole is ${EXAMPLE}`)
  if (json.length > MOST_RULES) throw wrong(`rules has at most ${MOST_RULES} entries`)
  const policy = misbehave(json.map(ruleOf))
  return { rules: json as RuleJson[], policy: json.length === 0 ? null : policy }
}

function ruleOf(rule: unknown, i: number): MisbehaviourRule {
  if (typeof rule !== 'object' || rule === null) return rule as unknown as MisbehaviourRule // misbehave() says what is wrong
  const { reply: line, when, ...rest } = rule as RuleJson
  return {
    ...rest,
    ...(line === undefined ? {} : { reply: replyOf(line, i) }),
    ...(when === undefined ? {} : { when: conditionOf(when, i) }),
  }
}

function replyOf(line: unknown, i: number): Reply {
  const [, code, enhanced, text = ''] = (typeof line === 'string' && REPLY_LINE.exec(line)) || []
  if (code === undefined) throw wrong(`rules[${i}].reply is a line such as "452 4.2.2 Mailbox full", not ${show(line)}`)
  try {
    return enhanced === undefined ? reply(Number(code), text) : reply(Number(code), enhanced, text)
  } catch (error) {
    throw wrong(`rules[${i}].reply: ${(error as Error).message}`)
  }
}

function conditionOf(when: unknown, i: number): MisbehaviourCondition {
  if (typeof when !== 'object' || when === null) return when as MisbehaviourCondition // misbehave() says what is wrong
  return Object.fromEntries(
    Object.entries(when).map(([name, wanted]) => [name, patternOf(wanted, `rules[${i}].when.${name}`)]),
  )
}

function patternOf(wanted: unknown, name: string): unknown {
  const [, source, flags] = (typeof wanted === 'string' && PATTERN.exec(wanted)) || []
  if (source === undefined) return wanted
  try {
    return new RegExp(source, flags)
  } catch (error) {
    throw wrong(`${name}: ${(error as Error).message}`)
  }
}
