// The part of a mailbox before the @: a dot-string or a quoted string. Only its own host may interpret it.

import {
  type GrammarOptions,
  isAtext,
  isNonAscii,
  needsUtf8,
  octets,
  type PathError,
  stray,
  type Strictness,
} from './characters.ts'

/**
 * Octets of a local part with its quotes, at the most. [RFC 5321 §4.5.3.1.1] says 64, and asks for more where possible:
 * forwarders put a whole address into the local part.
 */
const LOCAL_PART_OCTETS: Readonly<Record<Strictness, number>> = { strict: 64, interoperable: 255, lenient: 255 }

const QUOTE = 34
const BACKSLASH = 92
const DOT = 46

/**
 * Scans a local part from `at` on and returns the offset behind it. `strict` allows 64 octets, the other
 * modes 255; `lenient` allows dots anywhere.
 * [RFC 5321 §4.1.2, RFC 6531 §3.3]
 */
export function scanLocalPart(text: string, at: number, options: GrammarOptions): number | PathError {
  const end = text.charCodeAt(at) === QUOTE ? scanQuoted(text, at, options) : scanDotString(text, at, options)
  if (typeof end !== 'number') return end
  const limit = LOCAL_PART_OCTETS[options.strictness]
  if ((options.utf8 ? octets(text, at, end) : end - at) <= limit) return end
  return { part: 'local-part', at, problem: `a local part must not exceed ${limit} octets` }
}

/** The local part without its quotes and escapes. */
export function unquoteLocalPart(localPart: string): string {
  return localPart.startsWith('"') ? localPart.slice(1, -1).replace(/\\(.)/gs, '$1') : localPart
}

const ANY_STRICT: GrammarOptions = { utf8: true, strictness: 'strict' }

/** The local part for a name without control characters, in quotes only if it needs them. */
export function quoteLocalPart(name: string): string {
  return scanDotString(name, 0, ANY_STRICT) === name.length ? name : `"${name.replace(/[\\"]/g, '\\$&')}"`
}

function scanDotString(text: string, at: number, options: GrammarOptions): number | PathError {
  let afterDot = true
  for (let i = at; ; i++) {
    const code = text.charCodeAt(i)
    if (isAtext(code)) {
      afterDot = false
    } else if (code === DOT) {
      if (afterDot && options.strictness !== 'lenient') return misplacedDot(i)
      afterDot = true
    } else if (code > 127) {
      if (!options.utf8) return needsUtf8(text, i, 'local-part')
      if (!isNonAscii(text, i)) return stray(text, i, 'local-part')
      afterDot = false
    } else if (i === at) {
      return code === 64 ? { part: 'local-part', at, problem: 'the local part is empty' } : stray(text, i, 'local-part')
    } else {
      return afterDot && options.strictness !== 'lenient' ? misplacedDot(i - 1) : i
    }
  }
}

function scanQuoted(text: string, at: number, options: GrammarOptions): number | PathError {
  for (let i = at + 1; ; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) return i + 1
    if (code > 127) {
      if (!options.utf8) return needsUtf8(text, i, 'local-part')
      if (!isNonAscii(text, i)) return stray(text, i, 'local-part')
      continue
    }
    // A quoted pair escapes printable ASCII and the space only.
    const escaped = code === BACKSLASH ? text.charCodeAt(++i) : code
    if (!(escaped >= 32 && escaped < 127)) return stray(text, i, 'local-part')
  }
}

function misplacedDot(at: number): PathError {
  return { part: 'local-part', at, problem: 'a dot is misplaced in the local part' }
}
