// Where the client's octets of a transcript are cut into writes. Pure.

import { rechunk } from './chunks.ts'
import { escapeOctets } from './escapes.ts'
import type { Transcript } from './transcript.ts'

/**
 * How a step of the client, the octets that it sends without waiting for a reply, is cut into writes:
 *
 * - `'whole'`: one write
 * - `'bytes'`: one write for each octet
 * - a number: writes of that many octets
 * - `{ splitAt }`: two writes for the step that contains this offset, counted over all octets of the client; one write
 *   for every other step
 *
 * One turn of the event loop passes between two writes.
 */
export type Chunking = 'whole' | 'bytes' | number | SplitInTwo

/** One split of a whole session. */
export interface SplitInTwo {
  /** The offset of the first octet of the second write, counted over all octets of the client, from 0 on. */
  readonly splitAt: number
}

/** Cuts one step into writes; `start` is its offset in all octets of the client. */
export function cutIntoWrites(octets: Buffer, start: number, chunking: Chunking): Buffer[] {
  if (octets.length === 0) return []
  if (chunking === 'whole') return [octets]
  if (chunking === 'bytes') return rechunk(octets, [1])
  if (typeof chunking === 'number') return rechunk(octets, [chunking])
  const at = chunking.splitAt - start
  return at > 0 && at < octets.length ? [octets.subarray(0, at), octets.subarray(at)] : [octets]
}

/** Returns every place where a step can be cut in two. */
export function everySplit(session: Transcript): Chunking[] {
  const places: Chunking[] = []
  let start = 0
  for (const { octets } of session.steps) {
    for (let at = 1; at < octets.length; at++) places.push({ splitAt: start + at })
    start += octets.length
  }
  return places
}

/** Describes a chunking in an error message. */
export function describeChunking(session: Transcript, chunking: Chunking): string {
  if (typeof chunking === 'number') return `${chunking} octets a write`
  if (typeof chunking === 'string') return chunking === 'whole' ? 'whole' : 'octet by octet'
  const octets = Buffer.concat(session.steps.map(step => step.octets))
  const at = chunking.splitAt
  const before = escapeOctets(octets.subarray(Math.max(0, at - 16), at))
  const after = escapeOctets(octets.subarray(at, at + 16))
  return `split at octet ${at} of ${octets.length}, "${before}" | "${after}"`
}
