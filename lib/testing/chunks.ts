// The same octets cut in other places: no reply may depend on it.

import { MailHandlerError } from '../words/errors.ts'

/**
 * Cuts octets into chunks of these sizes, taken in turn and from the beginning again: `rechunk(octets, [1])` is octet by
 * octet. The chunks share the memory of the whole. Throws a {@link MailHandlerError} with code `ERR_OPTION` for a size
 * that is no positive integer, or no size at all.
 */
export function rechunk(octets: Buffer, sizes: readonly number[]): Buffer[] {
  if (sizes.length === 0 || !sizes.every(size => Number.isSafeInteger(size) && size > 0)) {
    throw new MailHandlerError('ERR_OPTION', 'sizes of chunks are positive integers, at least one')
  }
  return cut(octets, i => sizes[i % sizes.length] ?? 1)
}

/**
 * Cuts octets at places that the seed, any integer, decides: the same seed, the same places. Small chunks are as likely as large ones, so
 * that line ends are cut apart often and whole mails arrive in one chunk now and then.
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

/** Marsaglia's xorshift with 32 bits, its seed spread out so that neighbours differ: numbers from 0 up to 1. */
function xorshift(seed: number): () => number {
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
