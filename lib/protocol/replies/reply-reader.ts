// Server octets in, whole replies out. Pure and incremental: only the unfinished line is held as octets.

import { MailHandlerError } from '../../words/errors.ts'

/** A reply as a client receives it. [RFC 5321 §4.2] */
export interface ReceivedReply {
  /** The three digits. */
  readonly code: number
  /** The enhanced status code of its first line, or null. [RFC 2034] */
  readonly status: string | null
  /** The text line by line, without codes, enhanced status codes and line ends. */
  readonly lines: readonly string[]
  /** The whole reply as it came, its lines joined by `\n`: `'250-mx.example\n250 SIZE'`. */
  readonly text: string
}

/** Octets of a reply line, and lines of a reply, that are read at the most: far beyond what any reply may have. */
const LINE_OCTETS = 8192
const REPLY_LINES = 1000

const LINE = /^(\d{3})(?:([ -])(.*))?$/
const STATUS = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/
const LF = 10
const EMPTY: Buffer = Buffer.alloc(0)

/** Cuts a stream of octets into replies: `push` what came, take them by `next`. */
export class ReplyReader {
  readonly #ready: ReceivedReply[] = []
  #partial: Buffer = EMPTY
  #lines: string[] = []
  #fault: MailHandlerError | null = null

  /** Whole replies that nobody has taken yet. */
  get size(): number {
    return this.#ready.length
  }

  /** True in the middle of a reply, or where what came is none. */
  get unfinished(): boolean {
    return this.#fault !== null || this.#partial.length > 0 || this.#lines.length > 0
  }

  /** Takes in octets as they come; after a fault it ignores them. */
  push(octets: Buffer): void {
    if (this.#fault !== null) return
    const chunk = this.#partial.length === 0 ? octets : Buffer.concat([this.#partial, octets])
    let from = this.#partial.length
    let start = 0
    for (let at = chunk.indexOf(LF, from); at >= 0; at = chunk.indexOf(LF, from)) {
      this.#line(chunk.subarray(start, at + 1))
      start = from = at + 1
    }
    this.#partial = chunk.subarray(start)
    if (this.#partial.length > LINE_OCTETS) this.#fail(`a reply line goes on after ${LINE_OCTETS} octets`)
  }

  /**
   * The next whole reply, or null where it has not come yet. Throws a {@link MailHandlerError} with code
   * `ERR_TRANSCRIPT` where the octets are no SMTP reply.
   */
  next(): ReceivedReply | null {
    const reply = this.#ready.shift()
    if (reply !== undefined) return reply
    if (this.#fault !== null) throw this.#fault
    return null
  }

  #line(octets: Buffer): void {
    if (this.#fault !== null) return
    const line = octets.toString()
    if (!line.endsWith('\r\n')) return this.#fail(`a reply line ends in a bare LF: ${JSON.stringify(line)}`)
    const text = line.slice(0, -2)
    const match = LINE.exec(text)
    if (match === null) return this.#fail(`not a reply line: ${JSON.stringify(text)}`)
    const first = this.#lines[0]
    if (first !== undefined && first.slice(0, 3) !== match[1]) {
      return this.#fail(`the code changes within a reply: ${JSON.stringify(first)}, ${JSON.stringify(text)}`)
    }
    this.#lines.push(text)
    if (this.#lines.length > REPLY_LINES) return this.#fail(`a reply goes on after ${REPLY_LINES} lines`)
    if (match[2] === '-') return
    this.#ready.push(received(this.#lines))
    this.#lines = []
  }

  #fail(message: string): void {
    this.#fault = new MailHandlerError('ERR_TRANSCRIPT', message)
  }
}

function received(wire: readonly string[]): ReceivedReply {
  const texts = wire.map(line => line.slice(4))
  const status = STATUS.exec(texts[0] ?? '')?.[1] ?? null
  const lines = status === null ? texts : texts.map(text => withoutStatus(text, status))
  return { code: Number(wire[0]?.slice(0, 3)), status, lines, text: wire.join('\n') }
}

function withoutStatus(text: string, status: string): string {
  return text === status ? '' : text.startsWith(`${status} `) ? text.slice(status.length + 1) : text
}
