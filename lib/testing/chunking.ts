// Where the client's octets of a transcript are cut. Pure.

import { rechunk } from './chunks.ts'
import { escapeOctets } from './escapes.ts'
import type { Transcript } from './transcript.ts'

/**
 * How the client's octets are written. Whatever is sent without waiting for a reply is one write (`'whole'`), a write per
 * octet (`'bytes'`), writes of so many octets (a number), or one write but where `splitAt`, counted over all octets of
 * the client, falls into it: there it is cut in two. A turn of the event loop is between two writes.
 */
export type Chunking = 'whole' | 'bytes' | number | { readonly splitAt: number }

/** The writes of one step, whose octets begin at `start` in all octets of the client. */
export function pieces(octets: Buffer, start: number, chunking: Chunking): Buffer[] {
  if (octets.length === 0) return []
  if (chunking === 'whole') return [octets]
  if (chunking === 'bytes') return rechunk(octets, [1])
  if (typeof chunking === 'number') return rechunk(octets, [chunking])
  const at = chunking.splitAt - start
  return at > 0 && at < octets.length ? [octets.subarray(0, at), octets.subarray(at)] : [octets]
}

/** Every place within what is sent at once; between two such writes there is nothing to cut. */
export function everySplit(session: Transcript): Chunking[] {
  const places: Chunking[] = []
  let start = 0
  for (const { octets } of session.steps) {
    for (let at = 1; at < octets.length; at++) places.push({ splitAt: start + at })
    start += octets.length
  }
  return places
}

/** How a failure names the session that was cut so. */
export function chunkingName(session: Transcript, chunking: Chunking): string {
  if (typeof chunking === 'number') return `${chunking} octets a write`
  if (typeof chunking === 'string') return chunking === 'whole' ? 'whole' : 'octet by octet'
  const octets = Buffer.concat(session.steps.map(step => step.octets))
  const at = chunking.splitAt
  const before = escapeOctets(octets.subarray(Math.max(0, at - 16), at))
  const after = escapeOctets(octets.subarray(at, at + 16))
  return `split at octet ${at} of ${octets.length}, "${before}" | "${after}"`
}
