// What a reply should be, and whether it is.

import type { ReceivedReply } from '../protocol/replies/reply-reader.ts'

/**
 * What a reply should be:
 *
 * - a number, or a string of three digits: the code alone, however many lines and whatever text
 * - any other string: the reply as it stands on the wire, lines parted by `\n`. A line that ends in `…` or `*` matches
 *   whatever begins with what is before it.
 * - a regular expression: tested against the whole {@link ReceivedReply.text}
 */
export type ExpectedReply = number | string | RegExp

const CODE = /^\d{3}$/

/** Whether `reply` is what was expected. */
export function matchesReply(reply: ReceivedReply, expected: ExpectedReply): boolean {
  if (typeof expected === 'number') return reply.code === expected
  if (typeof expected !== 'string') return reply.text.search(expected) >= 0
  if (CODE.test(expected)) return reply.code === Number(expected)
  const wanted = expected.split('\n')
  const lines = reply.text.split('\n')
  return lines.length === wanted.length && lines.every((line, i) => matchesLine(line, wanted[i] ?? ''))
}

function matchesLine(line: string, wanted: string): boolean {
  const open = wanted.endsWith('…') || wanted.endsWith('*')
  return line === wanted || (open && line.startsWith(wanted.slice(0, -1)))
}
