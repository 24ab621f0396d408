// Holds the end of a message until it is known that its recipients do not have it already.
//
//   Message ─ octets pass, and go into a digest ─ the end: known? ─→ passed on
//                                                       └ yes ─→ the stream fails: no end of mail data leaves

import { createHash } from 'node:crypto'
import { Transform } from 'node:stream'

/** What the stream fails with if the message is known. */
export class AlreadyDelivered extends Error {
  override readonly name = 'AlreadyDelivered'
}

/** A message that passes, and its digest. */
export interface Recognizer {
  readonly stream: Transform
  /** The digest of sender and content; null before the end. */
  readonly digest: string | null
}

/** Makes the stream. `isKnown` is asked at the end, with the digest; it never rejects. */
export function recognize(sender: string, isKnown: (digest: string) => Promise<boolean>): Recognizer {
  const hash = createHash('sha256').update(`${sender}\0`)
  let digest: string | null = null
  const answer = async (digest: string, done: (error: Error | null) => void): Promise<void> => {
    done((await isKnown(digest)) ? new AlreadyDelivered('the recipients have this message already') : null)
  }
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
    flush(done) {
      digest = hash.digest('base64')
      void answer(digest, done)
    },
  })
  return {
    stream,
    get digest() {
      return digest
    },
  }
}
