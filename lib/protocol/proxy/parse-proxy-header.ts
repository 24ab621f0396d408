// Reads the header that a proxy sends before anything else to say who the client is. Only from trusted peers.

import type { ProxyHeaderResult } from './proxy-header.ts'
import { parseProxyV1 } from './proxy-v1.ts'
import { parseProxyV2 } from './proxy-v2.ts'

/** Options of `parseProxyHeader()`. */
export interface ProxyHeaderOptions {
  /**
   * Octets of a version 2 header in all; default 2,048 (the specification promises 536; certificate fields take
   * more).
   */
  readonly maxLength?: number
}

/**
 * Reads the header at the start of a connection: give it all octets received so far, again after each chunk while it
 * says `incomplete`. `length` is how many octets the header took; what follows is the client's. `invalid` comes as
 * soon as it is clear, with the first octet for most who speak something else, and after each field. Never throws.
 */
export function parseProxyHeader(bytes: Buffer, { maxLength = 2048 }: ProxyHeaderOptions = {}): ProxyHeaderResult {
  if (bytes.length === 0) return { kind: 'incomplete' }
  return bytes[0] === 0x50 ? parseProxyV1(bytes) : parseProxyV2(bytes, maxLength)
}
