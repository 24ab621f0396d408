// Reads the entry of a message back from its file, which may have come from elsewhere.

import type { MailEntry } from './entry.ts'

type Check = (value: unknown) => boolean

const isText: Check = value => typeof value === 'string'
const isCount: Check = value => Number.isSafeInteger(value) && (value as number) >= 0
const isTime: Check = value =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value))
const orNull =
  (check: Check): Check =>
  value =>
    value === null || check(value)
const listOf =
  (check: Check): Check =>
  value =>
    Array.isArray(value) && value.every(check)
const withFields =
  (fields: Readonly<Record<string, Check>>): Check =>
  value => {
    if (typeof value !== 'object' || value === null) return false
    return Object.entries(fields).every(([name, check]) => check((value as Record<string, unknown>)[name]))
  }

const isAddress = withFields({ name: isText, address: isText })

const FIELDS: Readonly<Record<keyof MailEntry, Check>> = {
  id: isText,
  receivedAt: isTime,
  envelope: withFields({ from: isText, to: listOf(isText) }),
  from: orNull(isAddress),
  to: listOf(isAddress),
  cc: listOf(isAddress),
  subject: isText,
  messageId: orNull(isText),
  size: isCount,
  attachments: isCount,
  snippet: isText,
  sessionId: isText,
}

/** Returns the entry; throws an error that names the first field that is wrong. */
export function readEntry(value: unknown): MailEntry {
  const given = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  for (const [name, check] of Object.entries(FIELDS)) {
    if (!check(given[name])) throw new Error(`entry.${name} is wrong`)
  }
  return value as MailEntry
}
