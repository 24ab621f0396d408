// Two ways to put any text into a parameter: xtext [RFC 3461 §4] and, for ORCPT=utf-8, \x{…} [RFC 6533 §3].

import { hasControls, isNonAscii } from '../addresses/characters.ts'

/** The decoded text, or what is wrong and where. */
export type Decoded =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly at: number; readonly problem: string }

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const PLAIN = /^[!-*,-<>-~]*$/
const HEX = /^[0-9A-F]{2}$/
const EMBEDDED = /\\x\{([0-9A-F]{2,6})\}/iy
const CONTROL = 'it decodes to a control character'

/** Text as xtext: octets of UTF-8 that are no plain printable ASCII, `+` and `=` become `+` and two digits. */
export function encodeXtext(text: string): string {
  if (PLAIN.test(text)) return text
  let encoded = ''
  for (const octet of Buffer.from(text)) {
    encoded += PLAIN.test(String.fromCharCode(octet)) ? String.fromCharCode(octet) : `+${hex(octet)}`
  }
  return encoded
}

/**
 * Xtext as text. Refused: anything but printable ASCII, a `+` without two upper-case hexadecimal digits, a bare `=`,
 * octets that are no UTF-8, and, unless `controls` is true, control characters. NUL is always refused.
 */
export function decodeXtext(xtext: string, options: { readonly controls?: boolean } = {}): Decoded {
  const octets = Buffer.alloc(xtext.length)
  let length = 0
  for (let i = 0; i < xtext.length; i++) {
    const code = xtext.charCodeAt(i)
    if (code !== 43) {
      if (code < 33 || code > 126 || code === 61) return { ok: false, at: i, problem: 'a character is not allowed' }
      octets[length++] = code
      continue
    }
    const digits = xtext.slice(i + 1, i + 3)
    if (!HEX.test(digits)) return { ok: false, at: i, problem: '+ needs two upper-case hexadecimal digits' }
    const octet = parseInt(digits, 16)
    if (octet === 0 || (!options.controls && (octet < 32 || octet === 127)))
      return { ok: false, at: i, problem: CONTROL }
    octets[length++] = octet
    i += 2
  }
  try {
    const text = UTF8.decode(octets.subarray(0, length))
    return options.controls || !hasControls(text) ? { ok: true, text } : { ok: false, at: 0, problem: CONTROL }
  } catch {
    return { ok: false, at: 0, problem: 'it does not decode to UTF-8' }
  }
}

/** Text as utf-8-addr-xtext, all ASCII: for ORCPT=utf-8 towards a server without SMTPUTF8. */
export function encodeUtf8Xtext(text: string): string {
  let encoded = ''
  for (const character of text) {
    const hexadecimal = character.codePointAt(0)!.toString(16).toUpperCase().padStart(2, '0')
    encoded += PLAIN.test(character) && character !== '\\' ? character : `\\x{${hexadecimal}}`
  }
  return encoded
}

/**
 * Utf-8-addr-xtext as text; with `utf8` non-ASCII characters may also stand as they are (utf-8-addr-unitext). Refused:
 * code points that must not be embedded (printable ASCII but space, `+`, `=` and the backslash; surrogates; leading
 * zeros) and control characters. [RFC 6533 §3]
 */
export function decodeUtf8Xtext(xtext: string, options: { readonly utf8: boolean }): Decoded {
  let text = ''
  for (let i = 0; i < xtext.length; i++) {
    const code = xtext.charCodeAt(i)
    if (code !== 92) {
      const plain = code < 128 ? code > 32 && code < 127 && code !== 43 && code !== 61 : options.utf8
      if (!plain || (code > 127 && !isNonAscii(xtext, i)))
        return { ok: false, at: i, problem: 'a character is not allowed' }
      text += xtext[i]
      continue
    }
    EMBEDDED.lastIndex = i
    const [whole, digits] = EMBEDDED.exec(xtext) ?? []
    if (whole === undefined || digits === undefined) return { ok: false, at: i, problem: '\\ must begin \\x{…}' }
    const point = parseInt(digits, 16)
    if (!isEmbeddable(point, digits)) return { ok: false, at: i, problem: 'the code point must not be embedded' }
    const character = String.fromCodePoint(point)
    if (hasControls(character)) return { ok: false, at: i, problem: CONTROL }
    text += character
    i += whole.length - 1
  }
  return { ok: true, text }
}

function isEmbeddable(point: number, digits: string): boolean {
  if (digits.length > 2 && digits.startsWith('0')) return false
  if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false
  return point <= 32 || point > 126 || point === 0x2b || point === 0x3d || point === 0x5c
}

function hex(octet: number): string {
  return octet.toString(16).toUpperCase().padStart(2, '0')
}
