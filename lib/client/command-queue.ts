// Commands on their way out, and the replies that they wait for, matched in order.
//
//   add ─→ waiting ─ sent, in groups where the server offers PIPELINING ─→ sent ─ take(reply) ─→ its promise
//
// A command counts as sent once its octets have been pushed: a reply that comes before is a reply too many, and is never
// taken for the reply to a later command.

import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import { SmtpClientError } from './client-error.ts'
import { ONE_WRITE, type Output } from './output.ts'
import { STEPS, type ClientStep, type ReplyStep, type Step } from './steps.ts'

/** What the queue tells the client. */
export interface QueueEvents {
  /** The reply that is waited for next has changed: its step, or null if none is. */
  waitsFor(step: ReplyStep | null): void
  /** A reply came before the mail data was sent to its end. */
  cameEarly(reply: ReceivedReply): void
}

interface Entry {
  readonly step: ReplyStep
  /** The reply that follows another to the same command, as in LMTP to mail data. */
  readonly follows: boolean
  readonly octets: readonly Buffer[]
  /** Is called with the reply at once, before anything else happens. */
  readonly note: (reply: ReceivedReply) => void
  readonly resolve: (reply: ReceivedReply) => void
  readonly reject: (error: SmtpClientError) => void
}

/** A sequence of BDAT, which takes its turn like a command. */
export interface Sequence {
  /**
   * Its turn has come, and all replies to what was sent before: from now on only BDAT is sent, until
   * {@link CommandQueue.release}.
   */
  begin(): void
  /** Its turn will not come. */
  reject(error: SmtpClientError): void
}

const START_MAIL_INPUT = 354
/** The server closes the connection; it may say so in reply to any command, or without one. [RFC 5321 §3.8] */
const CLOSING = 421

const ignore = (): void => {}

/** Sends commands and gives each its reply. */
export class CommandQueue {
  readonly #output: Output
  readonly #events: QueueEvents
  /** True if the server offered PIPELINING. */
  pipelining = false
  readonly #waiting: (Entry | Sequence)[] = []
  /** The chunks of a sequence of BDAT that were not sent yet; null outside of one. */
  #chunks: Entry[] | null = null
  readonly #sent: Entry[] = []
  #scheduled = false
  /** After 354: what is pushed is mail data, not a command. */
  #inMailData = false
  #failure: SmtpClientError | null = null

  constructor(output: Output, events: QueueEvents) {
    this.#output = output
    this.#events = events
  }

  /** True if no command waits for a reply, or to be sent. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#sent.length === 0 && this.#chunks === null
  }

  /** The step whose reply is waited for. */
  get step(): ReplyStep | null {
    return this.#sent[0]?.step ?? null
  }

  /**
   * Sends a command, at the end of this turn or once the replies before it have come. Resolves with its reply, a refusal
   * too; rejects with a {@link SmtpClientError} if the reply is unexpected or never comes. `note` is called with the
   * reply at once, before the next reply is taken.
   */
  add(step: ReplyStep, octets: readonly Buffer[], note: Entry['note'] = ignore): Promise<ReceivedReply> {
    return this.#enter(this.#waiting, { step, octets, note, follows: false })
  }

  /** Lets a sequence of BDAT take its turn. */
  addSequence(sequence: Sequence): void {
    if (this.#failure !== null) return sequence.reject(this.#failure)
    this.#waiting.push(sequence)
    this.#schedule()
  }

  /** Sends a BDAT of the sequence whose turn it is. The last one may have several replies, as in LMTP. */
  addChunk(octets: readonly Buffer[], replies = 1, note: Entry['note'] = ignore): readonly Promise<ReceivedReply>[] {
    const chunks = this.#chunks!
    const first = this.#enter(chunks, { step: 'BDAT', octets, note, follows: false })
    const more = { step: 'end', octets: [], note, follows: true } as const
    return [first, ...Array.from({ length: replies - 1 }, () => this.#enter(chunks, more))]
  }

  /** Waits for replies that need no command: the greeting, or those to mail data that was pushed. */
  expect(step: ReplyStep, replies = 1, note: Entry['note'] = ignore): readonly Promise<ReceivedReply>[] {
    return Array.from({ length: replies }, () => this.#enter(this.#sent, { step, octets: [], note, follows: false }))
  }

  /** The last BDAT of the sequence has been added: other commands follow it. */
  release(): void {
    this.#waiting.unshift(...(this.#chunks ?? []))
    this.#chunks = null
    this.#schedule()
  }

  /** The sequence has ended without a last BDAT: what waits is rejected up to RSET or QUIT, or it would continue it. */
  breakOff(error: SmtpClientError): void {
    const isEnd = (each: Entry | Sequence): boolean => 'step' in each && (each.step === 'RSET' || each.step === 'QUIT')
    const end = this.#waiting.findIndex(isEnd)
    for (const each of this.#waiting.splice(0, end < 0 ? this.#waiting.length : end)) each.reject(error)
    this.release()
  }

  /** All mail data has been pushed: commands may follow. */
  endMailData(): void {
    this.#inMailData = false
    this.#schedule()
  }

  /**
   * Gives a reply to the command that waits for it.
   *
   * @throws {SmtpClientError} if the connection cannot go on: nothing waits for a reply, the reply is neither positive
   *   for this command nor a refusal, or it says that the server closes the connection.
   */
  take(reply: ReceivedReply): void {
    const entry = this.#sent.shift()
    if (entry === undefined && this.#inMailData) return this.#events.cameEarly(reply)
    if (entry === undefined) throw unexpectedReply('idle', reply)
    if (!isExpected(STEPS[entry.step], reply.code)) {
      const error = unexpectedReply(entry.step, reply)
      entry.reject(error)
      throw error
    }
    if (reply.code === START_MAIL_INPUT) this.#inMailData = true
    entry.note(reply)
    entry.resolve(reply)
    if (reply.code === CLOSING) throw closing(entry.step, reply)
    this.#events.waitsFor(this.step)
    if (this.#waiting.length > 0 || this.#chunks !== null) this.#schedule()
  }

  /** Rejects all that waits, and all that is added later. */
  fail(error: SmtpClientError): void {
    this.#failure ??= error
    const chunks = this.#chunks?.splice(0) ?? []
    for (const each of [...this.#sent.splice(0), ...chunks, ...this.#waiting.splice(0)]) each.reject(this.#failure)
  }

  #enter(list: (Entry | Sequence)[], command: Omit<Entry, 'resolve' | 'reject'>): Promise<ReceivedReply> {
    const reply = new Promise<ReceivedReply>((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure)
      list.push({ ...command, resolve, reject })
      if (list !== this.#sent) this.#schedule()
      else if (this.#sent.length === 1) this.#events.waitsFor(command.step)
    })
    reply.catch(ignore) // a promise that is not awaited must not end the process
    return reply
  }

  /** Commands that are added in one turn leave together. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#send()
    })
  }

  #send(): void {
    const group: Buffer[] = []
    const isNext = this.#sent.length === 0
    for (let entry = this.#next(); entry !== null; entry = this.#next()) {
      this.#sent.push(entry)
      group.push(...entry.octets)
    }
    if (group.length === 0) return
    if (isNext) this.#events.waitsFor(this.step)
    const octets = group.reduce((sum, piece) => sum + piece.length, 0)
    for (const piece of octets <= ONE_WRITE ? [Buffer.concat(group, octets)] : group) this.#output.push(piece)
  }

  /** Takes the next command that may be sent. A sequence of BDAT begins when it would be the next. */
  #next(): Entry | null {
    for (;;) {
      const list = this.#chunks ?? this.#waiting
      const [next] = list
      if (next === undefined || !this.#maySend(next)) return null
      list.shift()
      if (!('begin' in next)) return next
      this.#chunks = []
      next.begin()
    }
  }

  #maySend(next: Entry | Sequence): boolean {
    if ('follows' in next && next.follows) return true
    if (this.#inMailData || this.#failure !== null) return false
    const last = this.#sent.at(-1)
    if (last === undefined) return true
    return !('begin' in next) && this.pipelining && !STEPS[last.step].endsGroup
  }
}

/** True for a positive reply to this step, and for a refusal. */
function isExpected({ accepts }: Step, code: number): boolean {
  return accepts.includes(code) || (code >= 400 && code < 600)
}

/** The error for a reply that nothing waits for, or that is none to this step. */
export function unexpectedReply(step: ClientStep, reply: ReceivedReply): SmtpClientError {
  if (reply.code === CLOSING) return closing(step, reply)
  return new SmtpClientError('ERR_REPLY_UNEXPECTED', `a reply of ${reply.code} is not expected here`, { step, reply })
}

function closing(step: ClientStep, reply: ReceivedReply): SmtpClientError {
  return new SmtpClientError('ERR_CONNECTION_LOST', 'the server closes the connection', { step, reply })
}
