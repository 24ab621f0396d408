// The character classes of the SMTP grammar, and the errors for a character in the wrong place.

/** The part of a MAIL or RCPT argument in which an error was found. */
export type PathPart = 'keyword' | 'path' | 'route' | 'local-part' | 'domain' | 'literal' | 'parameters'

/** What is wrong with an argument, and where. `problem` is fixed text, without anything of the argument. */
export interface PathError {
  readonly part: PathPart
  /** Offset in the text that was parsed, in UTF-16 code units. */
  readonly at: number
  readonly problem: string
  /** Set if the same text is valid with SMTPUTF8; it is answered with 553 5.6.7. [RFC 6531 §3.5] */
  readonly nonAscii?: true
}

/**
 * How strictly commands are parsed: `strict`, the grammar and the lengths of RFC 5321; `interoperable`, also what hurts
 * nobody and is seen every day; `lenient`, also what only a few broken senders do. Each takes what the one before takes.
 */
export type Strictness = 'strict' | 'interoperable' | 'lenient'

/** How addresses are parsed. */
export interface GrammarOptions {
  /** Non-ASCII local parts and U-labels are accepted. [RFC 6531 §3.3] */
  readonly utf8: boolean
  /** Which mistakes of real senders are accepted; each parser says which. */
  readonly strictness: Strictness
}

const ATEXT = 1
const LET_DIG = 2
const CLASSES = new Uint8Array(128)
for (const c of "!#$%&'*+-/=?^_`{|}~") CLASSES[c.charCodeAt(0)] = ATEXT
for (let c = 0; c < 128; c++) if (/[A-Za-z0-9]/.test(String.fromCharCode(c))) CLASSES[c] = ATEXT | LET_DIG

/** True for an ASCII character of an Atom; false for NaN, the code beyond the end of a text. [RFC 5322 §3.2.3] */
export function isAtext(code: number): boolean {
  return code < 128 && (CLASSES[code]! & ATEXT) !== 0
}

/** True if all of the text is one Atom of ASCII. [RFC 5322 §3.2.3] */
export function isAtom(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isAtext(text.charCodeAt(i))) return false
  return text !== ''
}

/** True for a letter or digit of ASCII. [RFC 5321 §4.1.2 Let-dig] */
export function isLetDig(code: number): boolean {
  return code < 128 && (CLASSES[code]! & LET_DIG) !== 0
}

/**
 * True if there is a well-formed non-ASCII character at `at`, or the second half of one. False for C1 controls and the
 * line and paragraph separators, which [RFC 6531 §3.3] allows: some readers of logs take them for line ends.
 */
export function isNonAscii(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  if (!(code >= 0xa0) || code === 0x2028 || code === 0x2029) return false
  if (code >= 0xd800 && code < 0xdc00) return isWithin(text.charCodeAt(at + 1), 0xdc00, 0xdfff)
  if (code >= 0xdc00 && code < 0xe000) return isWithin(text.charCodeAt(at - 1), 0xd800, 0xdbff)
  return true
}

/** True if the text holds a control character, C1 and the line separators included. */
export function hasControls(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  return /[\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(text)
}

/** True if all of the text is ASCII. */
export function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
  return /^[\x00-\x7f]*$/.test(text)
}

/** The number of octets of `text` from `start` to `end` in UTF-8. */
export function octets(text: string, start: number, end: number): number {
  return Buffer.byteLength(text.slice(start, end))
}

/** The error for the character at `at`, which is not allowed there. */
export function stray(text: string, at: number, part: PathPart): PathError {
  const code = text.charCodeAt(at)
  if (Number.isNaN(code)) return { part, at, problem: 'the argument ends too early' }
  if (code < 32 || (code > 126 && code < 0xa0)) return { part, at, problem: 'control characters are not allowed' }
  if (code === 32) return { part, at, problem: 'a space is not allowed here' }
  if (code === 40) return { part, at, problem: 'comments are not allowed' }
  if (code < 128) return { part, at, problem: 'a character is not allowed here' }
  if (!isNonAscii(text, at)) return { part, at, problem: 'the text is not well-formed' }
  return { part, at, problem: 'non-ASCII characters are not allowed here' }
}

/** The error for a non-ASCII character without SMTPUTF8. */
export function needsUtf8(text: string, at: number, part: PathPart): PathError {
  if (!isNonAscii(text, at)) return stray(text, at, part)
  return { part, at, problem: 'non-ASCII characters need SMTPUTF8', nonAscii: true }
}

function isWithin(code: number, low: number, high: number): boolean {
  return code >= low && code <= high
}
