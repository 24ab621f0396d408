// The mail transactions of a client: MAIL, RCPT, and the mail data by DATA or BDAT.
//
//   MAIL ─ RCPT … ─ DATA ─ 354 ─ mail data ─ replies          MAIL ─ RCPT … ─ BDAT … ─ BDAT LAST ─ replies

import { formatForwardPath, formatReversePath } from '../protocol/addresses/path.ts'
import { formatMailParameters, type MailParameters } from '../protocol/parameters/mail-parameters.ts'
import type { Extension } from '../protocol/parameters/parameter-rows.ts'
import { formatRcptParameters, type RcptParameters } from '../protocol/parameters/rcpt-parameters.ts'
import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import { BdatWriter, type BdatEnd } from './bdat-writer.ts'
import { SmtpClientError } from './client-error.ts'
import { unexpectedReply } from './command-queue.ts'
import { DataWriter, type DataOptions } from './data-writer.ts'
import type { Dialogue, MailSender } from './dialogue.ts'
import type { MailData } from './mail-source.ts'
import type { ReplyStep } from './steps.ts'

type Replies = readonly ReceivedReply[]

const START_MAIL_INPUT = 354

/**
 * Where a client stands: `free`, a transaction may begin, or replies still decide; `unwritten`, the last `mail()` has
 * thrown; `open`, the server has a sender; `granted`, 354 has come; `broken`, a part of a message was sent by BDAT, and
 * the rest never will be.
 */
type Phase = 'free' | 'unwritten' | 'open' | 'granted' | 'broken'

/** Why a command is out of order in a phase: what was called with it would join another transaction. */
const OUT_OF_ORDER: Readonly<Record<Phase, Readonly<Partial<Record<ReplyStep, string>>>>> = {
  free: {},
  unwritten: inTransaction('mail() failed'),
  open: { MAIL: 'a transaction is open: rset() ends it' },
  granted: { MAIL: 'sendData() must follow', ...inTransaction('sendData() must follow') },
  broken: { MAIL: 'rset() must be answered first', ...inTransaction('rset() must be answered first') },
}

function inTransaction(problem: string): Partial<Record<ReplyStep, string>> {
  return { RCPT: problem, DATA: problem, BDAT: problem }
}

/** The state of the transaction, and its commands. */
export class Transaction {
  readonly #dialogue: Dialogue
  #phase: Phase = 'free'
  /** Counts what was called to begin or end a transaction: a reply to something before it changes no phase. */
  #turn = 0
  #utf8 = false
  #binary = false
  /** The server has a sender. */
  #hasSender = false
  /** Recipients that the server has accepted. */
  #accepted = 0

  constructor(dialogue: Dialogue) {
    this.#dialogue = dialogue
  }

  mail(sender: string, parameters: MailParameters): Promise<ReceivedReply> {
    this.#checkOrder('MAIL')
    const turn = this.#enter('unwritten')
    const utf8 = parameters.smtputf8 === true
    const path = formatReversePath(sender, { utf8, strictness: 'lenient' })
    const text = formatMailParameters(parameters, this.#offered())
    const reply = this.#dialogue.command('MAIL', `MAIL ${path}${text === '' ? '' : ` ${text}`}`, ({ code }) => {
      this.#hasSender = code < 400
      if (!this.#hasSender) return
      this.#accepted = 0
      if (turn === this.#turn) this.#phase = 'open'
    })
    this.#phase = 'free'
    this.#utf8 = utf8
    this.#binary = parameters.body === 'BINARYMIME'
    return reply
  }

  rcpt(recipient: string, parameters: RcptParameters): Promise<ReceivedReply> {
    this.#checkOrder('RCPT')
    const path = formatForwardPath(recipient, { utf8: this.#utf8, strictness: 'lenient' })
    const text = formatRcptParameters(parameters, this.#offered())
    return this.#dialogue.command('RCPT', `RCPT ${path}${text === '' ? '' : ` ${text}`}`, ({ code }) => {
      if (code < 400) this.#accepted += 1
    })
  }

  async startData(): Promise<ReceivedReply> {
    this.#checkOrder('DATA')
    // [RFC 3030 §3]
    if (this.#binary) throw new SmtpClientError('ERR_ORDER', 'BINARYMIME is sent by bdat() only', { step: 'DATA' })
    const turn = this.#enter('free')
    const reply = await this.#dialogue.command('DATA', 'DATA')
    if (reply.code !== START_MAIL_INPUT) {
      if (this.#hasSender && turn === this.#turn) this.#phase = 'open' // DATA has not ended it
      return reply
    }
    // Mail data without sender or recipient, or for those of a transaction before. [RFC 2920 §3.1]
    if (!this.#hasSender || this.#accepted === 0) this.#dialogue.fail(unexpectedReply('DATA', reply))
    if (this.#dialogue.failure !== null) throw this.#dialogue.failure
    this.#phase = 'granted'
    return reply
  }

  sendData(data: MailData, options: DataOptions): Promise<Replies> {
    if (this.#phase !== 'granted') {
      throw new SmtpClientError('ERR_ORDER', 'startData() has not been answered 354', { step: 'data' })
    }
    this.#phase = 'free'
    return this.#send(resolve => {
      const { output, queue } = this.#dialogue
      return new DataWriter(output, data, options, error => {
        if (error !== null) return this.#dialogue.fail(error)
        this.#dialogue.sender = null
        resolve(Promise.all(queue.expect('end', this.#endTransaction(), options.onReply)))
        queue.endMailData()
      })
    })
  }

  async bdat(data: MailData, { onReply }: Pick<DataOptions, 'onReply'>): Promise<Replies> {
    this.#checkOrder('BDAT')
    const { output, queue, options, keywords } = this.#dialogue
    if (!keywords.has('CHUNKING')) {
      throw new SmtpClientError('ERR_NOT_OFFERED', 'the server does not offer CHUNKING', { step: 'BDAT' })
    }
    const binary = this.#binary
    this.#enter('free')
    const end = await new Promise<BdatEnd>((resolve, reject) => {
      const begin = (): void => {
        if (!this.#hasSender) {
          queue.release()
          return reject(new SmtpClientError('ERR_ORDER', 'MAIL has not been accepted', { step: 'BDAT' }))
        }
        const replies = this.#endTransaction()
        const parts = { queue, output, clock: options.clock, data, binary, replies, onReply }
        const make = (done: (end: BdatEnd) => void): BdatWriter =>
          new BdatWriter(parts, end => {
            this.#endSequence(end)
            done(end)
          })
        this.#send(make).then(resolve, reject)
      }
      queue.addSequence({ begin, reject })
    })
    if (end instanceof SmtpClientError) throw end
    for (const chunk of end.chunks) {
      const reply = await chunk
      if (reply.code >= 400) return [reply]
    }
    return Promise.all(end.last)
  }

  #endSequence(end: BdatEnd): void {
    const { queue } = this.#dialogue
    this.#dialogue.sender = null
    if (!(end instanceof SmtpClientError) && end.last.length > 0) return queue.release()
    this.#phase = 'broken'
    queue.breakOff(new SmtpClientError('ERR_ORDER', 'the message before was not sent to its end', { step: 'BDAT' }))
  }

  rset(): Promise<ReceivedReply> {
    if (this.#phase !== 'broken' && this.#phase !== 'granted') this.#enter('free')
    return this.#dialogue.command('RSET', 'RSET', ({ code }) => {
      if (code < 400) this.clear()
    })
  }

  /** The server has forgotten the transaction, by RSET or EHLO. */
  clear(): void {
    if (this.#phase === 'broken') this.#phase = 'free'
    this.#hasSender = false
    this.#accepted = 0
  }

  /** Runs what sends mail data, as long as the connection is there. */
  #send<T>(make: (resolve: (result: T | Promise<T>) => void) => { start(): void; stop(): void }): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { failure } = this.#dialogue
      if (failure !== null) return reject(failure)
      const writer = make(resolve)
      this.#dialogue.sender = {
        stop(error) {
          writer.stop()
          reject(error)
        },
        cameEarly: reply => {
          writer.stop()
          // The rest of the mail data cannot be left out, and an end of it must not be sent: the connection is over.
          if (reply.code >= 400 && reply.code < 600) resolve([reply] as T)
          this.#dialogue.fail(unexpectedReply('data', reply))
        },
      } satisfies MailSender
      writer.start()
    })
  }

  /** The number of replies to the mail data, with which the transaction ends. */
  #endTransaction(): number {
    const replies = this.#dialogue.options.lmtp ? this.#accepted : 1
    this.#accepted = 0
    this.#hasSender = false
    return replies
  }

  /** Begins or ends a transaction; returns the turn. */
  #enter(phase: 'free' | 'unwritten'): number {
    this.#phase = phase
    return ++this.#turn
  }

  #offered(): ReadonlySet<Extension> {
    return this.#dialogue.keywords as ReadonlySet<Extension>
  }

  #checkOrder(step: 'MAIL' | 'RCPT' | 'DATA' | 'BDAT'): void {
    const problem = OUT_OF_ORDER[this.#phase][step]
    if (problem !== undefined) throw new SmtpClientError('ERR_ORDER', problem, { step })
  }
}
