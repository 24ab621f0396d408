// A reply as a client receives it, put together from its lines.

import { MailHandlerError } from '../../words/errors.ts'
import { printable } from '../../words/printable.ts'

/** A reply as a client receives it. Its text is the server's: it may hold control characters. [RFC 5321 §4.2] */
export interface ReceivedReply {
  /** The three digits, whatever they are. */
  readonly code: number
  /** The enhanced status code of the first line, or null. [RFC 2034] */
  readonly status: string | null
  /** The text line by line, without codes, enhanced status codes and line ends. */
  readonly lines: readonly string[]
  /** The whole reply as it came, its lines joined by `\n`: `'250-mx.example\n250 SIZE'`. */
  readonly text: string
}

const LINE = /^(\d{3})(?:([ -])([^]*))?$/
const STATUS = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/

/** Characters of a wrong line that an error message shows. */
const SHOWN = 100

/** Collects the lines of replies, one reply after the other. */
export class ReplyLines {
  #lines: string[] = []

  /** True in the middle of a reply. */
  get unfinished(): boolean {
    return this.#lines.length > 0
  }

  /**
   * Takes a line without its CRLF. Returns the reply that it completes, or null if the reply has further lines.
   *
   * @throws {MailHandlerError} `ERR_REPLY_SYNTAX` if it is no reply line, or its code is not that of the line before.
   */
  add(line: string): ReceivedReply | null {
    const match = LINE.exec(line)
    if (match === null) throw replySyntax(`not a reply line: ${show(line)}`)
    const [first] = this.#lines
    if (first !== undefined && first.slice(0, 3) !== match[1]) {
      throw replySyntax(`the code changes within a reply: ${show(first)}, ${show(line)}`)
    }
    this.#lines.push(line)
    if (match[2] === '-') return null
    const lines = this.#lines
    this.#lines = []
    return receivedReply(lines)
  }
}

/** The error for octets that are no reply. */
export function replySyntax(message: string): MailHandlerError {
  return new MailHandlerError('ERR_REPLY_SYNTAX', message)
}

function receivedReply(wire: readonly string[]): ReceivedReply {
  const texts = wire.map(line => line.slice(4))
  const status = STATUS.exec(texts[0] ?? '')?.[1] ?? null
  const lines = status === null ? texts : texts.map(text => withoutStatus(text, status))
  return { code: Number(wire[0]?.slice(0, 3)), status, lines, text: wire.join('\n') }
}

function withoutStatus(text: string, status: string): string {
  return text === status ? '' : text.startsWith(`${status} `) ? text.slice(status.length + 1) : text
}

function show(line: string): string {
  return `"${printable(line, SHOWN)}"`
}
