// Parses messages in a worker: one that takes too long, or too much memory, ends the worker and not the server, and mail is
// taken meanwhile.
//
//   raw ─→ one after the other ─→ worker ─→ ParsedMail
//                                   └─ too long, or out of memory ─→ the header alone, and the problem

import { Worker } from 'node:worker_threads'
import { systemClock, type Clock } from '../../time/clock.ts'
import { EMPTY_MAIL, type ParsedMail } from '../../testing/catch/parsed-mail.ts'
import { OneByOne } from './one-by-one.ts'

/** How much the parsing of a message may take. */
export interface ParseLimits {
  /** Milliseconds. */
  readonly time: number
  /** MiB of the worker's heap; decoded attachments are beside it. */
  readonly memory: number
  /** Octets of the messages that wait; what comes beside them is kept without being parsed. */
  readonly waiting: number
}

/** The limits of `mailhandler catch`. */
export const PARSE_LIMITS: ParseLimits = { time: 10_000, memory: 512, waiting: 256 * 2 ** 20 }

const PROGRAM = new URL('./parse-worker.js', import.meta.url)
/** Octets of a header that is parsed alone. */
const MOST_HEADER = 65_536

/** The parser of `mailhandler catch`. */
export class MailParser {
  readonly #limits: ParseLimits
  readonly #program: URL
  readonly #clock: Clock
  #worker: Worker | null = null
  readonly #messages = new OneByOne()
  #waiting = 0
  #isClosed = false

  constructor(limits: ParseLimits = PARSE_LIMITS, program: URL = PROGRAM, clock: Clock = systemClock) {
    this.#clock = clock
    this.#limits = limits
    this.#program = program
  }

  /** Resolves with the parts of a message. If it cannot be parsed, they are empty, and `problem` says why. */
  parse(raw: Buffer): Promise<ParsedMail> {
    if (this.#waiting + raw.length > this.#limits.waiting) {
      return Promise.resolve({ ...EMPTY_MAIL, problem: 'too much other mail waits to be taken apart' })
    }
    this.#waiting += raw.length
    return this.#messages
      .run(() => this.#parse(raw))
      .finally(() => {
        this.#waiting -= raw.length
      })
  }

  /** Ends the worker. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#worker?.terminate()
  }

  async #parse(raw: Buffer): Promise<ParsedMail> {
    const mail = await this.#ask(raw)
    if (mail.problem === null) return mail
    const header = await this.#ask(headerOf(raw))
    return { ...header, text: null, html: null, attachments: [], problem: mail.problem }
  }

  /** Asks the worker, which is ended if it takes too long. */
  async #ask(raw: Buffer): Promise<ParsedMail> {
    if (this.#isClosed) return { ...EMPTY_MAIL, problem: 'the server is closing' }
    let worker: Worker
    try {
      worker = this.#worker ??= this.#start()
    } catch (error) {
      return { ...EMPTY_MAIL, problem: (error as Error).message } // the system has no thread to give
    }
    const { time } = this.#limits
    const answer = await new Promise<ParsedMail | string>(resolve => {
      const done = (result: ParsedMail | string): void => {
        this.#clock.clear(timer)
        worker.removeAllListeners('message').off('exit', onExit).unref()
        resolve(result)
      }
      const timer = this.#clock.after(time, () => done(`to take it apart took longer than ${time / 1000} seconds`))
      const onExit = (): void => done('to take it apart took too much memory')
      worker.once('message', done).once('exit', onExit).ref()
      worker.postMessage(raw)
    })
    if (typeof answer !== 'string') return withBuffers(answer)
    await worker.terminate()
    return { ...EMPTY_MAIL, problem: answer }
  }

  #start(): Worker {
    const worker = new Worker(this.#program, {
      name: 'mailhandler-parse',
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.memory },
    })
    worker.on('error', () => {}) // it ends then
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = null
    })
    return worker
  }
}

/** What came from another thread has lost the class of its buffers. */
function withBuffers(mail: ParsedMail): ParsedMail {
  const attachments = mail.attachments.map(each => {
    const { buffer, byteOffset, length } = each.content as Uint8Array
    return { ...each, content: Buffer.from(buffer as ArrayBuffer, byteOffset, length) }
  })
  return { ...mail, attachments }
}

/** The first lines, as far as the first empty one. */
function headerOf(raw: Buffer): Buffer {
  const start = raw.subarray(0, MOST_HEADER)
  const end = start.toString('latin1').search(/\r?\n\r?\n/)
  return Buffer.concat([end < 0 ? start : start.subarray(0, end), Buffer.from('\r\n\r\n')])
}
