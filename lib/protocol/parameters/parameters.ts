// The text behind the path in MAIL and RCPT, split into keyword=value pairs whose meaning is not looked at.

import { isNonAscii, type Strictness } from '../addresses/characters.ts'

/** What is wrong with the parameters, and where. `problem` is fixed text. */
export interface ParameterError {
  /** The keyword in upper case, or null if the keyword itself is wrong. */
  readonly keyword: string | null
  /** Offset in the text that was parsed, in UTF-16 code units. */
  readonly at: number
  readonly problem: string
  /** Set if the same text is valid with SMTPUTF8. */
  readonly nonAscii?: true
}

/** The parameters by keyword in upper case, null for a keyword without value; or what is wrong. */
export type ParsedParameters =
  | { readonly ok: true; readonly parameters: ReadonlyMap<string, string | null> }
  | { readonly ok: false; readonly error: ParameterError }

/** Which values of parameters are accepted. */
export interface ValueOptions {
  /** Values may have non-ASCII characters. [RFC 6531 §3.3] */
  readonly utf8: boolean
  /** `lenient` accepts `=` in the value of AUTH: it separates in addresses of VERP and BATV. @defaultValue `'strict'` */
  readonly strictness?: Strictness
}

const KEYWORD = /[A-Za-z0-9][A-Za-z0-9-]*/y
const EQUALS = 61
const SPACE = 32
const TAB = 9
const NONE: ParsedParameters = Object.freeze({ ok: true, parameters: new Map<string, string | null>() })

/**
 * Splits ESMTP parameters, `SIZE=1 BODY=8BITMIME`. Several spaces separate them as one does, and white space at the end
 * is ignored [RFC 5321 §4.1.1]. Values are printable ASCII without `=`, with `utf8` non-ASCII characters too
 * [RFC 6531 §3.3]. A keyword given twice is an error. Never throws. [RFC 5321 §4.1.2 esmtp-param]
 */
export function parseParameters(text: string, options: ValueOptions): ParsedParameters {
  let end = text.length
  while (isBlank(text.charCodeAt(end - 1))) end--
  if (end <= 0) return NONE

  const parameters = new Map<string, string | null>()
  for (let i = 0; i < end; i++) {
    if (text.charCodeAt(i) === SPACE) continue
    KEYWORD.lastIndex = i
    const found = KEYWORD.exec(text)?.[0]
    if (found === undefined) return fail(null, i, 'a parameter begins with a letter or digit')
    const keyword = found.toUpperCase()
    const after = i + found.length
    if (parameters.has(keyword)) return fail(keyword, i, 'the parameter is given twice')
    if (after === end || text.charCodeAt(after) === SPACE) {
      parameters.set(keyword, null)
      i = after
      continue
    }
    if (text.charCodeAt(after) !== EQUALS) return fail(null, after, 'a keyword has letters, digits and hyphens only')
    i = after + 1
    const also = keyword === 'AUTH' && options.strictness === 'lenient' ? EQUALS : null
    while (i < end && isValue(text, i, options.utf8, also)) i++
    if (i < end && text.charCodeAt(i) !== SPACE) return strayValue(text, keyword, i)
    if (i === after + 1) return fail(keyword, i, 'the value is empty')
    parameters.set(keyword, text.slice(after + 1, i))
  }
  return { ok: true, parameters }
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}

function isValue(text: string, at: number, utf8: boolean, also: number | null): boolean {
  const code = text.charCodeAt(at)
  if (code > 127) return utf8 && isNonAscii(text, at)
  return code > SPACE && code < 127 && (code !== EQUALS || code === also)
}

function strayValue(text: string, keyword: string, at: number): ParsedParameters {
  if (text.charCodeAt(at) < 128) return fail(keyword, at, 'a character is not allowed in the value')
  if (!isNonAscii(text, at)) return fail(keyword, at, 'the value is not well-formed')
  const problem = 'non-ASCII characters need SMTPUTF8'
  return { ok: false, error: { keyword, at, problem, nonAscii: true } }
}

function fail(keyword: string | null, at: number, problem: string): ParsedParameters {
  return { ok: false, error: { keyword, at, problem } }
}
