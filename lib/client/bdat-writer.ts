// Mail data in chunks: from its source to BDAT commands that announce only octets that are here. [RFC 3030 §2]
//
//   source ─ MailSource ─ held until a chunk is full ─ BDAT n ─→ … ─ at the end of the source ─ BDAT n LAST ─→

import { ChunkScanner } from '../protocol/mail-data/scanners.ts'
import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import type { Clock } from '../time/clock.ts'
import type { SmtpClientError } from './client-error.ts'
import type { CommandQueue } from './command-queue.ts'
import { MailSource, type MailData, type MailTaker } from './mail-source.ts'
import type { Output } from './output.ts'

/** Octets of a chunk, at the most. */
const CHUNK_OCTETS = 262_144
/** Chunks that are sent without a reply to the first of them. */
const UNANSWERED_CHUNKS = 4
/** Milliseconds after which octets of a slow source are sent though they fill no chunk, before the server gives up. */
const HELD_AT_MOST = 30_000

/** What a {@link BdatWriter} is made with. */
export interface BdatParts {
  readonly queue: CommandQueue
  readonly output: Output
  readonly clock: Clock
  readonly data: MailData
  readonly binary: boolean
  /** Replies to the last chunk: one, or in LMTP one for each recipient. */
  readonly replies: number
  /** Is called with each of them. */
  readonly onReply: ((reply: ReceivedReply) => void) | undefined
}

/** The replies that decide: a refusal among `chunks` is the verdict, else those of `last` are. */
export interface BdatReplies {
  /** To a chunk before the last that was refused. */
  readonly chunks: readonly Promise<ReceivedReply>[]
  /** To the last chunk; none if a chunk before it was refused. */
  readonly last: readonly Promise<ReceivedReply>[]
}

/** How it ended: the replies, or why the mail data is not whole. */
export type BdatEnd = BdatReplies | SmtpClientError

/** Sends mail data by BDAT. */
export class BdatWriter implements MailTaker {
  readonly #parts: BdatParts
  readonly #source: MailSource
  readonly #end: (end: BdatEnd) => void
  #held: Buffer[] = []
  #heldOctets = 0
  #heldSince = 0
  readonly #unanswered = new Set<Promise<ReceivedReply>>()
  #stopped = false
  /** All octets are here: the last chunk is sent once those before it are answered. */
  #isWhole = false
  /** False once a chunk was sent, until there is room for more. */
  isReady = true

  /** `end` is called once. */
  constructor(parts: BdatParts, end: (end: BdatEnd) => void) {
    this.#parts = parts
    this.#end = end
    // Line ends of BINARYMIME mean nothing, and may be anything. [RFC 3030 §3]
    const bareNewline = parts.binary ? 'allow' : 'reject'
    const scanner = new ChunkScanner({ unstuff: true, bareNewline })
    this.#source = new MailSource(parts.data, this, { scanner, endsLines: false, step: 'BDAT' })
  }

  /** Begins to send. */
  start(): void {
    this.#source.start()
  }

  /** Sends nothing any more; `end` is not called. */
  stop(): void {
    this.#stopped = true
    this.#source.stop()
    this.#parts.output.forget()
  }

  take(octets: Buffer): void {
    const now = this.#parts.clock.now()
    if (this.#heldOctets === 0) this.#heldSince = now
    this.#held.push(octets)
    this.#heldOctets += octets.length
    if (this.#heldOctets <= CHUNK_OCTETS && now - this.#heldSince < HELD_AT_MOST) return
    do this.#sendChunk()
    while (this.#heldOctets > CHUNK_OCTETS)
    // The command is sent at the end of this turn: only then is it known whether there is room for more.
    this.isReady = false
    queueMicrotask(() => this.#readOn())
  }

  done(error: SmtpClientError | null): void {
    this.#parts.output.forget()
    if (error !== null) {
      this.#stopped = true
      return this.#end(error)
    }
    this.#isWhole = true
    this.#sendLast()
  }

  /** A server that leaves out a reply to a chunk has no message yet when that is noticed. */
  #sendLast(): void {
    if (this.#unanswered.size > 0) return
    this.#stopped = true
    const { queue, replies, onReply } = this.#parts
    const last = queue.addChunk([header(this.#heldOctets, ' LAST'), ...this.#held], replies, onReply)
    this.#end({ chunks: [], last })
  }

  #sendChunk(): void {
    const size = Math.min(this.#heldOctets, CHUNK_OCTETS)
    const pieces: Buffer[] = []
    for (let missing = size; missing > 0;) {
      const piece = this.#held.shift()!
      pieces.push(piece.subarray(0, missing))
      if (piece.length > missing) this.#held.unshift(piece.subarray(missing))
      missing -= Math.min(missing, piece.length)
    }
    this.#heldOctets -= size
    this.#heldSince = this.#parts.clock.now()
    const reply = this.#parts.queue.addChunk([header(size, ''), ...pieces])[0]!
    this.#unanswered.add(reply)
    void reply.then(
      received => this.#answered(received, reply),
      () => {}, // the connection is lost: the client stops this
    )
  }

  #answered(received: ReceivedReply, reply: Promise<ReceivedReply>): void {
    this.#unanswered.delete(reply)
    if (this.#stopped) return
    if (received.code < 400) return this.#isWhole ? this.#sendLast() : this.#readOn()
    this.stop()
    this.#end({ chunks: [reply], last: [] })
  }

  #readOn(): void {
    const limit = this.#parts.queue.pipelining ? UNANSWERED_CHUNKS : 1
    if (this.#stopped || this.#unanswered.size >= limit) return
    this.#parts.output.whenRoom(() => {
      this.isReady = true
      this.#source.resume()
    })
  }
}

function header(octets: number, last: '' | ' LAST'): Buffer {
  return Buffer.from(`BDAT ${octets}${last}\r\n`)
}
