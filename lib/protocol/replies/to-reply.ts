// A reply that another server gave, as a reply that may be sent on.

import { Reply, REPLY_LINE_OCTETS } from '../../words/reply.ts'
import type { ReceivedReply } from './received-reply.ts'

const KNOWN_CODE = /^[2-5][0-5]\d$/ // [RFC 5321 §4.2]
const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}]+/gu

/**
 * Makes a {@link Reply} of a received one. Never throws.
 *
 * - A code that SMTP does not know gets the nearest meaning that is safe: 5yz (such as 561) becomes 554, anything else
 *   451, since 299 or 777 must not be taken for acceptance. [RFC 5321 §4.2, §4.3.2]
 * - The enhanced status code is kept if its class is that of the code. [RFC 2034 §4]
 * - Control characters and line separators are removed, the tab too.
 * - A line that would exceed 512 octets is cut, never within a character. [RFC 5321 §4.5.3.1.5]
 */
export function toReply({ code, status, lines }: Pick<ReceivedReply, 'code' | 'status' | 'lines'>): Reply {
  const known = knownCode(code)
  const kept = status !== null && status.startsWith(`${Math.floor(known / 100)}.`) ? status : null
  const room = REPLY_LINE_OCTETS - '250 '.length - '\r\n'.length - (kept === null ? 0 : kept.length + 1)
  return new Reply(
    known,
    kept,
    lines.map(line => cutAt(room, line.replace(CONTROLS, ''))),
  )
}

function knownCode(code: number): number {
  if (KNOWN_CODE.test(String(code))) return code
  return Math.floor(code / 100) === 5 ? 554 : 451
}

/** The text, or as many of its first characters as fit into so many octets of UTF-8. */
function cutAt(octets: number, text: string): string {
  if (Buffer.byteLength(text) <= octets) return text
  const encoded = Buffer.from(text)
  let end = octets
  while ((encoded[end]! & 0xc0) === 0x80) end-- // an octet in the middle of a character
  return encoded.toString('utf8', 0, end)
}
