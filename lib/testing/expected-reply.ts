// Compares a reply with an expectation.

import type { ReceivedReply } from '../protocol/replies/received-reply.ts'

/**
 * What to compare a reply with:
 *
 * - a number, or a string of three digits: the reply code; text and number of lines are not compared
 * - any other string: the text of the reply, lines separated by `\n`. A line that ends with `…` or `*` matches every
 *   line that begins with the text before it.
 * - a regular expression: tested against the whole {@link ReceivedReply.text}
 */
export type ExpectedReply = number | string | RegExp

const CODE = /^\d{3}$/

/** Tells if a reply is as expected. */
export function matchesReply(reply: ReceivedReply, expected: ExpectedReply): boolean {
  if (typeof expected === 'number') return reply.code === expected
  if (typeof expected !== 'string') return reply.text.search(expected) >= 0
  if (CODE.test(expected)) return reply.code === Number(expected)
  const patterns = expected.split('\n')
  const lines = reply.text.split('\n')
  return lines.length === patterns.length && lines.every((line, i) => matchesLine(line, patterns[i] ?? ''))
}

function matchesLine(line: string, pattern: string): boolean {
  const isPrefix = pattern.endsWith('…') || pattern.endsWith('*')
  return line === pattern || (isPrefix && line.startsWith(pattern.slice(0, -1)))
}
