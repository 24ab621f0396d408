// A server's octets in, whole replies out.
//
//   chunk ─ cut at LF ─ length and CRLF checked ─ split2 ─ ReplyLines ─→ next()
//
// The unfinished line is kept outside of split2, so that split2 is empty between two lines: it never emits an
// unterminated line as if it were whole, and a line that comes octet by octet costs no more than any other.

import split2 from 'split2'
import { ReplyLines, replySyntax, type ReceivedReply } from '../protocol/replies/received-reply.ts'
import type { MailHandlerError } from '../words/errors.ts'
import { CR, LF } from '../words/octets.ts'

/** Limits of what a server may reply, in octets. */
export interface ReplyLimits {
  /** One line with its CRLF. @defaultValue 4,096 */
  readonly replyLine: number
  /** All lines of one reply. @defaultValue 65,536 */
  readonly reply: number
}

/** The defaults of {@link ReplyLimits}. RFC 5321 §4.5.3.1.5 allows 512 octets a line; some servers send longer ones. */
export const REPLY_LIMITS: ReplyLimits = Object.freeze({ replyLine: 4096, reply: 65_536 })

// One for the process: it is synchronous, and holds nothing between two lines.
let framed = ''
const framer = split2(/\r\n/, (line: string) => void (framed = line), { decodeStrings: false })

/** Cuts a stream of octets into replies: `push` what came, take replies with `next`. */
export class ReplyReader {
  readonly #limits: ReplyLimits
  readonly #lines = new ReplyLines()
  readonly #replies: ReceivedReply[] = []
  #partial: Buffer[] = []
  #partialOctets = 0
  /** Octets of the reply so far, without those of the unfinished line. */
  #replyOctets = 0
  #fault: MailHandlerError | null = null

  constructor(limits: ReplyLimits = REPLY_LIMITS) {
    this.#limits = limits
  }

  /** Whole replies that were not taken yet. */
  get size(): number {
    return this.#replies.length
  }

  /** True in the middle of a reply, and once octets have come that are none. */
  get unfinished(): boolean {
    return this.#fault !== null || this.#partialOctets > 0 || this.#lines.unfinished
  }

  /** Takes octets as they come; ignores them after a fault. */
  push(chunk: Buffer): void {
    let start = 0
    for (let lf = chunk.indexOf(LF); lf !== -1 && this.#fault === null; lf = chunk.indexOf(LF, start)) {
      this.#keep(chunk.subarray(start, lf + 1))
      start = lf + 1
      if (this.#fault === null) this.#endLine()
    }
    if (start < chunk.length && this.#fault === null) this.#keep(Buffer.from(chunk.subarray(start)))
  }

  /**
   * Returns the next whole reply, or null if it has not come yet.
   *
   * @throws {MailHandlerError} `ERR_REPLY_SYNTAX` if the octets are no SMTP reply or exceed a limit; once all replies
   *   before it are taken, and at every call from then on.
   */
  next(): ReceivedReply | null {
    const reply = this.#replies.shift()
    if (reply !== undefined) return reply
    if (this.#fault !== null) throw this.#fault
    return null
  }

  #keep(piece: Buffer): void {
    this.#partial.push(piece)
    this.#partialOctets += piece.length
    const { replyLine, reply } = this.#limits
    if (this.#partialOctets > replyLine) this.#fail(replySyntax(`a reply line exceeds ${replyLine} octets`))
    else if (this.#replyOctets + this.#partialOctets > reply) this.#fail(replySyntax(`a reply exceeds ${reply} octets`))
  }

  #endLine(): void {
    const octets = this.#partial.length === 1 ? this.#partial[0]! : Buffer.concat(this.#partial, this.#partialOctets)
    this.#partial = []
    this.#partialOctets = 0
    if (octets.indexOf(CR) !== octets.length - 2) return this.#fail(replySyntax('a bare CR or LF in a reply'))
    framer.write(octets.toString())
    try {
      const reply = this.#lines.add(framed)
      this.#replyOctets = reply === null ? this.#replyOctets + octets.length : 0
      if (reply !== null) this.#replies.push(reply)
    } catch (error) {
      this.#fail(error as MailHandlerError)
    }
  }

  #fail(fault: MailHandlerError): void {
    this.#fault = fault
    this.#partial = []
  }
}
