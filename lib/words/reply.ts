// A reply: a code, possibly an enhanced status code, one or more lines of text.

import { MailHandlerError } from './errors.ts'
import { isOfKind, mark } from './kind.ts'

/** Octets of one reply line with code and CRLF, at the most. [RFC 5321 §4.5.3.1.5] */
export const REPLY_LINE_OCTETS = 512

const CODE = /^[2-5][0-5]\d$/ // [RFC 5321 §4.2]
const STATUS = /^([245])\.\d{1,3}\.\d{1,3}$/ // [RFC 3463 §2]
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNPRINTABLE = /[\x00-\x08\x0a-\x1f\x7f]/
const KIND = Symbol.for('mailhandler.Reply')

/**
 * An SMTP reply, immutable. Made by {@link reply} and checked then, so that text of a client that is put into a reply
 * cannot add a line. [RFC 5321 §4.2]
 */
export class Reply {
  /** Three digits, 200 to 559. */
  readonly code: number
  /** The enhanced status code, `'5.1.1'`, or null. [RFC 2034, RFC 3463] */
  readonly status: string | null
  /** The text, line by line, without codes and line ends. */
  readonly lines: readonly string[]
  readonly #wire: string

  static {
    mark(this.prototype, KIND)
  }

  /** @throws {MailHandlerError} `ERR_REPLY` for a wrong code, status or text. */
  constructor(code: number, status: string | null, lines: readonly string[]) {
    if (typeof code !== 'number' || !CODE.test(String(code))) {
      const given = typeof code === 'string' ? JSON.stringify(code) : String(code)
      throw new MailHandlerError('ERR_REPLY', `${given} is not a reply code (200 to 559); write reply(250, 'OK')`)
    }
    if (status !== null && STATUS.exec(status)?.[1] !== String(code)[0]) {
      throw new MailHandlerError('ERR_REPLY', `${status} is not an enhanced status code for a ${code} reply`)
    }
    this.code = code
    this.status = status
    this.lines = Object.freeze(lines.length > 0 ? [...lines] : [''])
    this.#wire = encode(code, status, this.lines)
    Object.freeze(this)
  }

  /** True for 2yz and 3yz: the command was accepted. */
  get positive(): boolean {
    return this.code < 400
  }

  /** The reply as it is sent, each line ended by CRLF. */
  toString(): string {
    return this.#wire
  }
}

/**
 * Makes a {@link Reply}: `reply(250, 'OK')`, `reply(451, '4.7.1', 'Try again later')`,
 * `reply(250, 'mx.example.org', 'PIPELINING', 'SIZE')`. A first text of the form `d.d.d` is the enhanced status code.
 *
 * @throws {MailHandlerError} `ERR_REPLY` for CR, LF, NUL or another control character in the text, for a code outside
 *   200 to 559, and for a line over 512 octets.
 */
export function reply(code: number, ...words: readonly string[]): Reply {
  const [first, ...rest] = words
  return first !== undefined && STATUS.test(first) ? new Reply(code, first, rest) : new Reply(code, null, words)
}

/** Returns a reply as one of this copy of the package, and checks that of another copy. Null for what is no reply. */
export function asReply(value: unknown): Reply | null {
  if (value instanceof Reply) return value
  if (!isOfKind(value, KIND)) return null
  const { code, status, lines } = value as Reply
  return new Reply(code, status, lines)
}

function encode(code: number, status: string | null, lines: readonly string[]): string {
  const prefix = status === null ? '' : `${status} `
  const last = lines.length - 1
  let wire = ''
  lines.forEach((text, i) => {
    if (UNPRINTABLE.test(text)) throw new MailHandlerError('ERR_REPLY', 'a reply text must not hold control characters')
    const line = `${code}${i === last ? ' ' : '-'}${prefix}${text}\r\n`
    if (line.length > REPLY_LINE_OCTETS / 4 && Buffer.byteLength(line) > REPLY_LINE_OCTETS) {
      throw new MailHandlerError('ERR_REPLY', `a reply line must not exceed ${REPLY_LINE_OCTETS} octets`)
    }
    wire += line
  })
  return wire
}
