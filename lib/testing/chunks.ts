// Cuts octets into chunks in different ways: no reply may depend on how the client's octets are cut.

import { MailHandlerError } from '../words/errors.ts'

/**
 * Cuts octets into chunks of the given sizes, used in turn and from the first again: `rechunk(octets, [1])` returns
 * chunks of one octet. The chunks share the memory of `octets`.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if `sizes` is empty or contains anything but positive integers.
 */
export function rechunk(octets: Buffer, sizes: readonly number[]): Buffer[] {
  if (sizes.length === 0 || !sizes.every(size => Number.isSafeInteger(size) && size > 0)) {
    throw new MailHandlerError('ERR_OPTION', 'sizes has at least one chunk size; each is a positive integer')
  }
  return cut(octets, i => sizes[i % sizes.length] ?? 1)
}

/**
 * Cuts octets at random places, chosen by `seed`, any integer: the same seed always gives the same places. Small chunks
 * are as likely as large ones, so line ends are often cut apart and some messages arrive in one chunk.
 */
export function randomChunks(octets: Buffer, seed: number): Buffer[] {
  const random = xorshift(seed)
  return cut(octets, () => Math.max(1, Math.floor((octets.length + 1) ** random())))
}

function cut(octets: Buffer, size: (i: number) => number): Buffer[] {
  const chunks: Buffer[] = []
  let start = 0
  while (start < octets.length) {
    const end = start + size(chunks.length)
    chunks.push(octets.subarray(start, end))
    start = end
  }
  return chunks
}

/** Marsaglia's 32-bit xorshift: returns numbers from 0 to below 1. The seed is mixed so that close seeds differ. */
export function xorshift(seed: number): () => number {
  let x = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) || 1
  const next = (): number => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 8; i++) next()
  return next
}
