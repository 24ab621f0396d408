// Mail data as a client sends it.

import { LineDots } from '../protocol/mail-data/line-dots.ts'

const END_OF_LINE = Buffer.from('\r\n')
const END_OF_DATA = Buffer.from('.\r\n')

/** Applies transparency and adds the end of mail data: `'.x'` becomes `'..x\r\n.\r\n'`. [RFC 5321 §4.5.2] */
export function stuff(message: string | Uint8Array): Buffer {
  const octets = asBuffer(message)
  const pieces: Buffer[] = []
  new LineDots('double').edit(octets, piece => pieces.push(piece))
  if (octets.length > 0 && !octets.subarray(-2).equals(END_OF_LINE)) pieces.push(END_OF_LINE)
  return Buffer.concat([...pieces, END_OF_DATA])
}

/** Octets as a Buffer, without copying; a string is UTF-8. */
export function asBuffer(octets: string | Uint8Array): Buffer {
  if (typeof octets === 'string') return Buffer.from(octets)
  return Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
}
