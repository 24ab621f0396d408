// Holds the end of a message until it is known that none of its recipients has it already.
//
//   Message ─ octets pass, and go into a digest ─ the end: known? ─→ passed on
//                                                       └ yes ─→ the stream fails: no end of mail data leaves,
//                                                                and the client is told something else

import { createHash } from 'node:crypto'
import { Transform } from 'node:stream'
import type { Reply } from '../../words/reply.ts'

/** What the stream fails with if the message is known. */
export class Recognized extends Error {
  override readonly name = 'Recognized'
  /** What the client is told. */
  readonly reply: Reply

  constructor(reply: Reply) {
    super('recipients have this message already')
    this.reply = reply
  }
}

/** A message that passes, and its digest. */
export interface Recognizer {
  readonly stream: Transform
  /** The digest of sender and content; null before the end. */
  readonly digest: string | null
}

/** Makes the stream. `judge` is asked at the end, with the digest, and says what the client is told if not the verdict; it never rejects. */
export function recognize(sender: string, judge: (digest: string) => Promise<Reply | null>): Recognizer {
  const hash = createHash('sha256').update(`${sender}\0`)
  let digest: string | null = null
  const answer = async (digest: string, done: (error: Error | null) => void): Promise<void> => {
    const reply = await judge(digest)
    done(reply === null ? null : new Recognized(reply))
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
