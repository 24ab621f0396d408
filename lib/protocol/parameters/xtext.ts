// Two encodings for text in a parameter: xtext [RFC 3461 §4] and, for ORCPT=utf-8, \x{…} [RFC 6533 §3].

import { wrong } from '../../words/option-checks.ts'
import { hasControls, isNonAscii } from '../addresses/characters.ts'

/** The decoded text, or what is wrong and where. */
export type Decoded =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly at: number; readonly problem: string }

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const PLAIN = /^[!-*,-<>-~]*$/
const HEX = /^[0-9A-F]{2}$/
const ESCAPED = /\\x\{([0-9A-F]{2,6})\}/iy
const LONE_SURROGATE = /\p{Cs}/u
const CONTROL = 'it decodes to a control character'

/**
 * Encodes text as xtext: `+`, `=` and each octet of UTF-8 that is not printable ASCII become `+` and two digits.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if the text holds a control character, a line separator or a lone surrogate.
 */
export function encodeXtext(text: string): string {
  if (PLAIN.test(text)) return text
  checkText(text)
  let encoded = ''
  for (const octet of Buffer.from(text)) {
    encoded += PLAIN.test(String.fromCharCode(octet)) ? String.fromCharCode(octet) : `+${hex(octet)}`
  }
  return encoded
}

/**
 * Decodes xtext. Refuses anything but printable ASCII, a `+` without two upper-case hexadecimal digits, a bare `=`,
 * octets that are no UTF-8, and control characters. Never throws.
 */
export function decodeXtext(xtext: string): Decoded {
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
    if (octet < 32 || octet === 127) return { ok: false, at: i, problem: CONTROL }
    octets[length++] = octet
    i += 2
  }
  try {
    const text = UTF8.decode(octets.subarray(0, length))
    return hasControls(text) ? { ok: false, at: 0, problem: CONTROL } : { ok: true, text }
  } catch {
    return { ok: false, at: 0, problem: 'it does not decode to UTF-8' }
  }
}

/**
 * Encodes text as utf-8-addr-xtext, which is ASCII and so needs no SMTPUTF8.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if the text holds a control character, a line separator or a lone surrogate.
 */
export function encodeUtf8Xtext(text: string): string {
  checkText(text)
  let encoded = ''
  for (const character of text) {
    const hexadecimal = character.codePointAt(0)!.toString(16).toUpperCase().padStart(2, '0')
    encoded += PLAIN.test(character) && character !== '\\' ? character : `\\x{${hexadecimal}}`
  }
  return encoded
}

/**
 * Decodes utf-8-addr-xtext; with `utf8` also utf-8-addr-unitext, in which non-ASCII characters are not encoded. Refuses
 * code points that must not be encoded (surrogates, and printable ASCII but the space, `+`, `=` and the backslash), leading zeros
 * and control characters. Never throws. [RFC 6533 §3]
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
    ESCAPED.lastIndex = i
    const [whole, digits] = ESCAPED.exec(xtext) ?? []
    if (whole === undefined || digits === undefined)
      return { ok: false, at: i, problem: 'a backslash must begin \\x{…}' }
    const point = parseInt(digits, 16)
    if (!mayBeEscaped(point, digits)) return { ok: false, at: i, problem: 'the code point must not be encoded' }
    const character = String.fromCodePoint(point)
    if (hasControls(character)) return { ok: false, at: i, problem: CONTROL }
    text += character
    i += whole.length - 1
  }
  return { ok: true, text }
}

function mayBeEscaped(point: number, digits: string): boolean {
  if (digits.length > 2 && digits.startsWith('0')) return false
  if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false
  return point <= 32 || point > 126 || point === 0x2b || point === 0x3d || point === 0x5c
}

function checkText(text: string): void {
  if (hasControls(text)) throw wrong('the text holds a control character')
  if (LONE_SURROGATE.test(text)) throw wrong('the text is not well-formed')
}

function hex(octet: number): string {
  return octet.toString(16).toUpperCase().padStart(2, '0')
}
