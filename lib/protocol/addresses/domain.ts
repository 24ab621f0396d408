// Domain names in SMTP, and the argument of HELO and EHLO.

import { domainToASCII, domainToUnicode } from 'node:url'
import { type AddressLiteral, formatAddressLiteral, parseAddressLiteral } from './address-literal.ts'
import { type GrammarOptions, isLetDig, isNonAscii, needsUtf8, octets, type PathError, stray } from './characters.ts'

/** Octets of a domain, at the most. [RFC 5321 §4.5.3.1.2] */
export const DOMAIN_OCTETS = 255
/** Octets of one label in its ASCII form, at the most. [RFC 1035 §2.3.4] */
export const LABEL_OCTETS = 63

const DOT = 46
const HYPHEN = 45
const UNDERSCORE = 95
const BRACKET = 91

/** The argument of HELO, EHLO or LHLO, with its address literal if it is one; or what is wrong with it. */
export type ParsedHelo =
  | { readonly ok: true; readonly name: string; readonly literal: AddressLiteral | null }
  | { readonly ok: false; readonly error: PathError }

/**
 * Scans a domain from `at` on and returns the offset behind it; the caller checks the delimiter there. Labels are
 * letters, digits and hyphens, which neither begin nor end a label; `utf8` allows U-labels too, `lenient` underscores.
 * No label is empty, so a dot at the end is refused. [RFC 5321 §4.1.2, RFC 6531 §3.3]
 */
export function scanDomain(text: string, at: number, options: GrammarOptions): number | PathError {
  let start = at
  let nonAscii = false
  for (let i = at; ; i++) {
    const code = text.charCodeAt(i)
    if (isLetDig(code) || code === HYPHEN || (code === UNDERSCORE && options.strictness === 'lenient')) continue
    if (code > 127) {
      if (!options.utf8) return needsUtf8(text, i, 'domain')
      if (!isNonAscii(text, i)) return stray(text, i, 'domain')
      nonAscii = true
      continue
    }
    if (i - at > DOMAIN_OCTETS) return tooLong(at)
    const error = checkLabel(text, start, i, code === DOT, nonAscii)
    if (error !== null) return error
    if (code === DOT) {
      start = i + 1
      nonAscii = false
      continue
    }
    return octetsOf(text, at, i, options) <= DOMAIN_OCTETS ? i : tooLong(at)
  }
}

/** True if all of the text is a domain; false for an address literal. */
export function isDomain(text: string, options: GrammarOptions): boolean {
  return scanDomain(text, 0, options) === text.length
}

/**
 * The domain in the form for comparison and look-ups: A-labels in lower case. Takes what {@link scanDomain} accepted; an
 * address literal is returned in lower case.
 */
export function canonicalDomain(domain: string): string {
  const lower = domain.toLowerCase()
  if (lower.startsWith('[')) return lower
  return lower
    .split('.')
    .map(label => (/[^a-z0-9_-]/.test(label) ? domainToASCII(label) : label))
    .join('.')
}

/**
 * Parses the argument of HELO, EHLO or LHLO: a domain or an address literal. With `lenient`, any printable text without
 * spaces, up to 255 octets, since many clients give an invalid name: escape it wherever it is shown.
 * [RFC 5321 §4.1.1.1, §4.1.4]
 */
export function parseHelo(argument: string, options: GrammarOptions): ParsedHelo {
  if (argument.charCodeAt(0) === BRACKET && argument.endsWith(']')) {
    const literal = parseAddressLiteral(argument.slice(1, -1))
    if (literal !== null) return { ok: true, name: formatAddressLiteral(literal), literal }
    if (options.strictness !== 'lenient') return { ok: false, error: { part: 'literal', at: 0, problem: NO_LITERAL } }
  }
  const end = options.strictness === 'lenient' ? scanPrintable(argument, options) : scanDomain(argument, 0, options)
  if (typeof end !== 'number') return { ok: false, error: end }
  if (end < argument.length) return { ok: false, error: stray(argument, end, 'domain') }
  return { ok: true, name: argument, literal: null }
}

/** The problem of brackets without an address in them. */
export const NO_LITERAL = 'the brackets do not hold an IPv4 address or IPv6: and an IPv6 address'

function checkLabel(text: string, start: number, end: number, more: boolean, nonAscii: boolean): PathError | null {
  if (start === end) {
    if (!more && !(text.charCodeAt(start - 1) === DOT)) return emptyDomain(text, start)
    return { part: 'domain', at: more ? end : end - 1, problem: 'a dot is misplaced in the domain' }
  }
  if (text.charCodeAt(start) === HYPHEN) return hyphen(start)
  if (text.charCodeAt(end - 1) === HYPHEN) return hyphen(end - 1)
  if (nonAscii) return checkULabel(text.slice(start, end), start)
  if (end - start <= LABEL_OCTETS) return null
  return { part: 'domain', at: start, problem: `a label must not exceed ${LABEL_OCTETS} octets` }
}

// Refuses a label that other software would map to another name, or split into two labels. [RFC 5890 §2.3.2.1]
function checkULabel(label: string, at: number): PathError | null {
  const ascii = domainToASCII(label)
  const good =
    ascii.startsWith('xn--') &&
    !ascii.includes('.') &&
    ascii.length <= LABEL_OCTETS &&
    domainToUnicode(ascii) === label.toLowerCase().normalize('NFC')
  return good ? null : { part: 'domain', at, problem: 'a label is not a valid internationalised label' }
}

function emptyDomain(text: string, at: number): PathError {
  const code = text.charCodeAt(at)
  if (code > 32 && code !== 62) return stray(text, at, 'domain')
  return { part: 'domain', at, problem: 'the domain is empty' }
}

function tooLong(at: number): PathError {
  return { part: 'domain', at, problem: `a domain must not exceed ${DOMAIN_OCTETS} octets` }
}

function hyphen(at: number): PathError {
  return { part: 'domain', at, problem: 'a label must not begin or end with a hyphen' }
}

function octetsOf(text: string, start: number, end: number, options: GrammarOptions): number {
  return options.utf8 ? octets(text, start, end) : end - start
}

function scanPrintable(text: string, options: GrammarOptions): number | PathError {
  let i = 0
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127 && !options.utf8) return needsUtf8(text, i, 'domain')
    if (code > 127 ? !isNonAscii(text, i) : code < 33 || code === 127) return stray(text, i, 'domain')
  }
  if (i === 0) return { part: 'domain', at: 0, problem: 'the domain is empty' }
  return octetsOf(text, 0, i, options) <= DOMAIN_OCTETS ? i : tooLong(0)
}
