// Which message a test waits for.

import { checkKeys, show, wrong } from '../../words/option-checks.ts'
import type { CaughtMail } from './caught-mail.ts'

/** A condition: a string, or a regular expression that is searched for. */
export type MailPattern = string | RegExp

/** What a message must have. Every condition that is given has to fit; without one, every message does. */
export interface MailConditions {
  /** A recipient of the envelope, or an address of To or Cc. A string is the whole address, whatever its case. */
  readonly to?: MailPattern
  /** The sender of the envelope, or the address of From. A string is the whole address, whatever its case. */
  readonly from?: MailPattern
  /** The decoded subject. A string is the whole subject, whatever its case. */
  readonly subject?: MailPattern
  /** The text. A string is a part of it. */
  readonly text?: MailPattern
  /** The HTML. A string is a part of it. */
  readonly html?: MailPattern
}

/** Which message: conditions, or a function that returns true for it. */
export type MailFilter = MailConditions | ((mail: CaughtMail) => boolean)

type Condition = keyof MailConditions

const CONDITIONS: Readonly<Record<Condition, (mail: CaughtMail, wanted: MailPattern) => boolean>> = {
  to: ({ envelope, to, cc }, wanted) =>
    [...envelope.to, ...[...to, ...cc].map(({ address }) => address)].some(each => isWhole(each, wanted)),
  from: ({ envelope, from }, wanted) => [envelope.from, from?.address ?? ''].some(each => isWhole(each, wanted)),
  subject: ({ subject }, wanted) => isWhole(subject, wanted),
  text: ({ text }, wanted) => isPart(text, wanted),
  html: ({ html }, wanted) => isPart(html, wanted),
}

/** Throws `ERR_OPTION` for a filter that is wrong. */
export function checkFilter(filter: MailFilter): void {
  if (typeof filter === 'function') return
  const given: unknown = filter
  if (typeof given === 'string' || given instanceof RegExp) {
    throw wrong(
      `filter is an object such as { to: ${typeof given === 'string' ? show(given) : String(given)} }, or a function`,
    )
  }
  checkKeys('filter', filter, Object.keys(CONDITIONS))
  for (const [name, wanted] of Object.entries(filter) as [string, unknown][]) {
    if (wanted === undefined || typeof wanted === 'string' || wanted instanceof RegExp) continue
    throw wrong(`filter.${name} is a string or a regular expression, not ${show(wanted)}`)
  }
}

/** The conditions that do not fit; empty if the message is the one. A function is called `the function`. */
export function misfits(mail: CaughtMail, filter: MailFilter): string[] {
  if (typeof filter === 'function') return accepts(filter, mail) ? [] : ['the function']
  return conditionsOf(filter).flatMap(([name, wanted]) => (CONDITIONS[name](mail, wanted) ? [] : [name]))
}

/** A promise would be as good as true. */
function accepts(filter: (mail: CaughtMail) => boolean, mail: CaughtMail): boolean {
  const answer: unknown = filter(mail)
  if (typeof (answer as { then?: unknown } | null | undefined)?.then !== 'function') return Boolean(answer)
  throw wrong('filter is a function that returns true or false at once, not a promise')
}

/** A filter in words: `with to "anna@example.org" and subject /welcome/`. */
export function describeFilter(filter: MailFilter): string {
  if (typeof filter === 'function') return 'a message that the function accepts'
  const conditions = conditionsOf(filter).map(([name, wanted]) => {
    return `${name} ${typeof wanted === 'string' ? show(wanted) : String(wanted)}`
  })
  return conditions.length === 0 ? 'a message' : `a message with ${conditions.join(' and ')}`
}

function conditionsOf(filter: MailConditions): [Condition, MailPattern][] {
  return Object.entries(filter).filter((entry): entry is [Condition, MailPattern] => entry[1] !== undefined)
}

function isWhole(text: string, wanted: MailPattern): boolean {
  return typeof wanted === 'string' ? text.toLowerCase() === wanted.toLowerCase() : text.search(wanted) >= 0
}

function isPart(text: string | null, wanted: MailPattern): boolean {
  if (text === null) return false
  return typeof wanted === 'string' ? text.includes(wanted) : text.search(wanted) >= 0
}
