// Mail data that is counted instead of cut: a message in one BDAT or several. [RFC 3030 §2]

import { setImmediate as turn } from 'node:timers/promises'
import type { Reply } from '../words/reply.ts'
import type { BodyFeed } from '../stream/body.ts'
import type { MailHandler } from '../stream/mail-handler.ts'

/** `BDAT 1000`, `BDAT 0 LAST`; a count of more digits could not be counted. */
const ARGUMENT = /^(\d{1,15})( LAST)?[ \t]*$/i

/** One BDAT command. */
export interface Chunk {
  /** Octets that follow it. */
  readonly count: number
  readonly last: boolean
}

/** Reads the argument of BDAT; null where it is wrong, and nobody knows what follows. */
export function readChunk(argument: string): Chunk | null {
  const match = ARGUMENT.exec(argument)
  return match && { count: Number(match[1]), last: match[2] !== undefined }
}

/** The chunks of one message. */
export class Chunks {
  readonly #feed: BodyFeed
  readonly #verdict: Promise<readonly Reply[]>

  /** `verdict` resolves with what the client is to be told, and never rejects. */
  constructor(feed: BodyFeed, verdict: Promise<readonly Reply[]>) {
    this.#feed = feed
    this.#verdict = verdict
    void verdict.then(() => feed.settle())
  }

  /** Octets that have come so far. */
  get octets(): number {
    return this.#feed.octets
  }

  /** Takes a chunk; resolves with the verdict where that is known by then, or with null: the message goes on. */
  async take({ count, last }: Chunk, handler: MailHandler): Promise<readonly Reply[] | null> {
    const feed = this.#feed
    await handler.takeOctets(count, feed)
    if (last) feed.end()
    if (last || feed.refusal !== null) return handler.judge(feed, await this.#verdict)
    const early = await settled(this.#verdict)
    return early?.[0]?.positive === false ? early : null
  }

  /** No further chunk comes. */
  drop(): void {
    this.#feed.truncate()
  }
}

/** What a promise has come to, or null where it waits for more than a turn of the event loop. */
function settled<T>(promise: Promise<T>): Promise<T | null> {
  return Promise.race([promise, turn(null)])
}
