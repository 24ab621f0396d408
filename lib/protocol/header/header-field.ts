// Header fields that this package writes: checked and folded, so that no value can begin another field.

import { MailHandlerError } from '../../words/errors.ts'
import { show } from '../../words/option-checks.ts'

/** Octets that a line of a message without CRLF must not, and should not, exceed. [RFC 5322 §2.1.1] */
const LINE_MUST = 998
const LINE_SHOULD = 78

const NAME = /^[!-9;-~]+$/ // [RFC 5322 §3.6.8]
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNPRINTABLE = /[\x00-\x08\x0a-\x1f\x7f]/
const BLANKS = /([ \t]+)/

/** Header fields by name, or in order as pairs of name and value, where a name may come twice. */
export type HeaderFields = Readonly<Record<string, string>> | Iterable<readonly [name: string, value: string]>

/**
 * Formats the fields, each ended by CRLF, in UTF-8, folded at blanks to 78 octets a line if possible.
 * [RFC 5322 §2.2, §2.2.3]
 *
 * @throws {MailHandlerError} `ERR_HEADER` for an invalid name, for CR, LF, NUL or another control character in a value,
 *   and for a line that cannot be folded to 998 octets.
 */
export function headerFields(fields: HeaderFields): string {
  if (typeof fields !== 'object' || fields === null) throw wrongFields(fields)
  const pairs = Symbol.iterator in fields ? (fields as Iterable<readonly [string, string]>) : Object.entries(fields)
  let text = ''
  for (const [name, value] of pairs) text += headerField(name, value)
  return text
}

function wrongFields(fields: unknown): MailHandlerError {
  return new MailHandlerError(
    'ERR_HEADER',
    `fields are { 'X-Name': 'value' } or pairs of name and value, not ${show(fields)}`,
  )
}

function headerField(name: string, value: string): string {
  if (!NAME.test(name))
    throw new MailHandlerError('ERR_HEADER', 'a field name is printable ASCII without colon and blank')
  if (UNPRINTABLE.test(value)) {
    throw new MailHandlerError('ERR_HEADER', `the value of ${name} must not hold control characters`)
  }
  const lines = foldLines(`${name}:`, value)
  if (lines.some(line => Buffer.byteLength(line) > LINE_MUST)) {
    throw new MailHandlerError('ERR_HEADER', `${name} cannot be folded to lines of ${LINE_MUST} octets`)
  }
  return `${lines.join('\r\n')}\r\n`
}

/**
 * Folds a value behind `start` (the name and its colon, or `''` to continue a field) into lines of at most 78 octets if
 * its blanks allow. Blanks between two words are kept, at the beginning of the new line; those around the value are
 * removed. [RFC 5322 §2.2.3]
 */
export function foldLines(start: string, value: string): readonly string[] {
  const lines: string[] = []
  let line = start
  let octets = start.length
  let blanks = ' '
  for (const part of value.split(BLANKS)) {
    if (part === '') continue
    if (part[0] === ' ' || part[0] === '\t') {
      blanks = line === start ? ' ' : part
      continue
    }
    const more = blanks.length + Buffer.byteLength(part)
    // Some readers cannot parse a first line that has only the name: only a word that is too long for it is moved down.
    if (octets + more > (line === start ? LINE_MUST : LINE_SHOULD)) {
      lines.push(line)
      line = ''
      octets = 0
    }
    line += blanks + part
    octets += more
  }
  return [...lines, line]
}
