// Strict base64: Node's own decoder skips invalid characters, so garbage would pass for a password.

/**
 * Decodes base64 as SASL uses it: the standard alphabet, padded, no other characters, no bits left over. An empty text
 * gives an empty Buffer. Null for anything else. [RFC 4648 §4, §3.5; RFC 4954 §4]
 */
export function decodeBase64(text: string): Buffer | null {
  const octets = Buffer.from(text, 'base64')
  return octets.toString('base64') === text ? octets : null
}

/**
 * Decodes the initial response of an AUTH command, where `=` alone stands for an empty one. Null if it is no base64
 * or an empty text, since a parameter is never empty. [RFC 4954 §4]
 */
export function decodeInitialResponse(text: string): Buffer | null {
  if (text === '=') return Buffer.alloc(0)
  return text === '' ? null : decodeBase64(text)
}
