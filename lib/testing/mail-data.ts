// Formats mail data as a client sends it.

const LEADING_DOT = /(^|\r\n)\./g

/** Applies transparency and adds the end of mail data: `'.x'` becomes `'..x\r\n.\r\n'`. [RFC 5321 §4.5.2] */
export function stuff(message: string | Uint8Array): Buffer {
  const octets = asBuffer(message).toString('latin1')
  const terminated = octets === '' || octets.endsWith('\r\n') ? octets : `${octets}\r\n`
  return Buffer.from(`${terminated.replace(LEADING_DOT, '$1..')}.\r\n`, 'latin1')
}

/** Returns octets as a Buffer without copying them; encodes a string as UTF-8. */
export function asBuffer(octets: string | Uint8Array): Buffer {
  if (typeof octets === 'string') return Buffer.from(octets)
  return Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
}
