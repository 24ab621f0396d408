// Base64, strictly: Node's own decoder skips what it does not know, so garbage would pass for a password.

/**
 * Decodes base64 as SASL sends it: the standard alphabet, padded, nothing before, between or after, no bits left over.
 * The empty text is the empty Buffer. Null for anything else. [RFC 4648 §4, §3.5; RFC 4954 §4]
 */
export function decodeBase64(text: string): Buffer | null {
  const octets = Buffer.from(text, 'base64')
  return octets.toString('base64') === text ? octets : null
}

/**
 * Decodes the initial response of an AUTH command, where `=` alone stands for an empty one. Null when it is no base64;
 * an empty text too, since a parameter that is there is not empty. [RFC 4954 §4]
 */
export function decodeInitialResponse(text: string): Buffer | null {
  if (text === '=') return Buffer.alloc(0)
  return text === '' ? null : decodeBase64(text)
}
