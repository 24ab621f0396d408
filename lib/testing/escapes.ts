// Escapes octets as text, for the `C| ` lines of a transcript.

import { isUtf8 } from 'node:buffer'

import { MailHandlerError } from '../words/errors.ts'

const ESCAPE = /\\(x[0-9a-fA-F]{2}|[\s\S]?)/g
// oxlint-disable-next-line no-control-regex -- it finds control characters
const CONTROL = /[\x00-\x1f\x7f-\x9f]/
// oxlint-disable-next-line no-control-regex -- the same
const TO_ESCAPE = /[\\\x00-\x1f\x7f-\xff]/g

const OCTETS: ReadonlyMap<string, string> = new Map([
  ['r', '\r'],
  ['n', '\n'],
  ['t', '\t'],
  ['0', '\0'],
  ['\\', '\\'],
])
const NAMES: ReadonlyMap<string, string> = new Map([...OCTETS].map(([name, octet]) => [octet, `\\${name}`]))

/**
 * Converts escaped text to octets: `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` stand for one octet, all other text is UTF-8.
 *
 * @throws {MailHandlerError} `ERR_TRANSCRIPT` for any other escape.
 */
export function unescapeOctets(text: string): Buffer {
  const latin1 = Buffer.from(text).toString('latin1')
  const octets = latin1.replace(ESCAPE, (escape, name: string) => {
    if (name.length === 3) return String.fromCharCode(Number.parseInt(name.slice(1), 16))
    const octet = OCTETS.get(name)
    if (octet === undefined)
      throw new MailHandlerError('ERR_TRANSCRIPT', `unknown escape ${escape}; use \\r \\n \\t \\0 \\\\ \\xHH`)
    return octet
  })
  return Buffer.from(octets, 'latin1')
}

/** Converts octets to escaped text; printable ASCII is unchanged. */
export function escapeOctets(octets: Buffer): string {
  return octets.toString('latin1').replace(TO_ESCAPE, octet => NAMES.get(octet) ?? hex(octet))
}

/** Tells if octets can be shown unescaped: UTF-8 without control characters. */
export function isPlain(octets: Buffer): boolean {
  return isUtf8(octets) && !CONTROL.test(octets.toString())
}

function hex(octet: string): string {
  return `\\x${octet.charCodeAt(0).toString(16).padStart(2, '0')}`
}
