// Reads the header that a proxy sends before anything else to say who the client is. Only from trusted peers.

import type { ProxyHeaderResult } from './proxy-header.ts'
import { parseProxyV1 } from './proxy-v1.ts'
import { parseProxyV2 } from './proxy-v2.ts'

/** Options of `parseProxyHeader()`. */
export interface ProxyHeaderOptions {
  /**
   * Octets of a version 2 header in all. The specification promises 536; certificate fields need more.
   *
   * @defaultValue 2048
   */
  readonly maxLength?: number
}

/**
 * Parses the header at the start of a connection. Call it with all octets received so far, again after each chunk while
 * it returns `incomplete`. `length` is the number of octets of the header; those behind it are the client's. `invalid` is
 * returned as early as possible, for most other protocols at the first octet. Never throws.
 */
export function parseProxyHeader(bytes: Buffer, { maxLength = 2048 }: ProxyHeaderOptions = {}): ProxyHeaderResult {
  if (bytes.length === 0) return { kind: 'incomplete' }
  return bytes[0] === 0x50 ? parseProxyV1(bytes) : parseProxyV2(bytes, maxLength)
}
