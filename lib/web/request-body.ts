// The body of a request, up to a limit.

import type { IncomingMessage } from 'node:http'

const EMPTY = Buffer.alloc(0)

/** Resolves with the body, or with null if it is longer than the limit or was cut. A limit of 0 discards it. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | null> {
  if (limit === 0) {
    request.resume()
    return EMPTY
  }
  const chunks: Buffer[] = []
  let octets = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      octets += (chunk as Buffer).length
      if (octets > limit) return null
      chunks.push(chunk as Buffer)
    }
  } catch {
    return null // The client has left: nobody gets the answer.
  }
  return Buffer.concat(chunks)
}
