// The mail transactions of a client: MAIL, RCPT, and the mail data by DATA or BDAT.
//
//   MAIL ─ RCPT … ─ DATA ─ 354 ─ mail data ─ replies          MAIL ─ RCPT … ─ BDAT … ─ BDAT LAST ─ replies

import { formatForwardPath, formatReversePath } from '../protocol/addresses/path.ts'
import { formatMailParameters, type MailParameters } from '../protocol/parameters/mail-parameters.ts'
import type { Extension } from '../protocol/parameters/parameter-rows.ts'
import { formatRcptParameters, type RcptParameters } from '../protocol/parameters/rcpt-parameters.ts'
import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import { BdatWriter, type BdatEnd, type BdatReplies } from './bdat-writer.ts'
import { SmtpClientError } from './client-error.ts'
import { unexpectedReply } from './command-queue.ts'
import { DataWriter, type DataOptions } from './data-writer.ts'
import type { Dialogue, MailSender } from './dialogue.ts'
import type { MailData } from './mail-source.ts'
import type { ReplyStep } from './steps.ts'

type Replies = readonly ReceivedReply[]

const START_MAIL_INPUT = 354

/** The state of the transaction, and its commands. */
export class Transaction {
  readonly #dialogue: Dialogue
  #utf8 = false
  #binary = false
  /** Recipients that the server has accepted. */
  #accepted = 0
  #recipients: Promise<unknown>[] = []
  /** MAIL was accepted, and nothing that ends the transaction has been called. */
  #isOpen = false
  /** The last MAIL was accepted. */
  #hasSender = false
  /** Counts what was called to begin or end a transaction: a reply to something before it opens none. */
  #turn = 0
  /** The last MAIL could not be written: what follows must not join the transaction before it. */
  #hasNoSender = false
  /** 354 has come, and no mail data was sent yet. */
  #mayWrite = false
  /** A part of a message was sent by BDAT, and the rest never will be: the server must forget it. */
  #mustReset = false

  constructor(dialogue: Dialogue) {
    this.#dialogue = dialogue
  }

  mail(sender: string, parameters: MailParameters): Promise<ReceivedReply> {
    this.#checkOrder('MAIL')
    if (this.#isOpen) throw new SmtpClientError('ERR_ORDER', 'a transaction is open: rset() ends it', { step: 'MAIL' })
    this.#hasNoSender = true
    const utf8 = parameters.smtputf8 === true
    const path = formatReversePath(sender, { utf8, lenient: true })
    const text = formatMailParameters(parameters, this.#offered())
    const reply = this.#dialogue.command('MAIL', `MAIL ${path}${text === '' ? '' : ` ${text}`}`)
    this.#hasNoSender = false
    const turn = ++this.#turn
    this.#utf8 = utf8
    this.#binary = parameters.body === 'BINARYMIME'
    this.#recipients = []
    onReply(reply, ({ code }) => {
      this.#hasSender = code < 400
      this.#isOpen = this.#hasSender && turn === this.#turn
      if (this.#hasSender) this.#accepted = 0
    })
    return reply
  }

  rcpt(recipient: string, parameters: RcptParameters): Promise<ReceivedReply> {
    this.#checkOrder('RCPT')
    const path = formatForwardPath(recipient, { utf8: this.#utf8, lenient: true })
    const text = formatRcptParameters(parameters, this.#offered())
    const reply = this.#dialogue.command('RCPT', `RCPT ${path}${text === '' ? '' : ` ${text}`}`)
    this.#recipients.push(reply)
    onReply(reply, ({ code }) => code < 400 && this.#accepted++)
    return reply
  }

  startData(): Promise<ReceivedReply> {
    this.#checkOrder('DATA')
    // [RFC 3030 §3]
    if (this.#binary) throw new SmtpClientError('ERR_ORDER', 'BINARYMIME is sent by bdat() only', { step: 'DATA' })
    const data = this.#dialogue.command('DATA', 'DATA')
    const turn = this.#end()
    return data.then(reply => {
      if (reply.code !== START_MAIL_INPUT) {
        this.#isOpen = this.#hasSender && turn === this.#turn // the transaction is not ended
        return reply
      }
      if (this.#accepted > 0) this.#mayWrite = true
      else this.#dialogue.fail(unexpectedReply('DATA', reply)) // mail data for no recipient [RFC 2920 §3.1]
      if (this.#dialogue.failure !== null) throw this.#dialogue.failure
      return reply
    })
  }

  sendData(data: MailData, options: DataOptions): Promise<Replies> {
    if (!this.#mayWrite)
      throw new SmtpClientError('ERR_ORDER', 'startData() has not been answered 354', { step: 'data' })
    this.#mayWrite = false
    return this.#send(resolve => {
      const { output, queue } = this.#dialogue
      return new DataWriter(output, data, options, error => {
        if (error !== null) return this.#dialogue.fail(error)
        this.#dialogue.sender = null
        resolve(Promise.all(queue.expect('end', this.#endTransaction())))
        queue.endMailData()
      })
    })
  }

  async bdat(data: MailData): Promise<Replies> {
    this.#checkOrder('BDAT')
    if (!this.#offered().has('CHUNKING' as Extension)) {
      throw new SmtpClientError('ERR_NOT_OFFERED', 'the server does not offer CHUNKING', { step: 'BDAT' })
    }
    const { output, queue, options } = this.#dialogue
    const binary = this.#binary
    queue.reserve()
    this.#end()
    // The number of replies is that of the recipients: their replies must have come.
    if (options.lmtp) await Promise.allSettled(this.#recipients)
    const end = await this.#send<BdatEnd>(resolve => {
      const parts = { queue, output, clock: options.clock, data, binary, replies: this.#endTransaction() }
      return new BdatWriter(parts, end => {
        queue.release()
        resolve(end)
      })
    })
    this.#dialogue.sender = null
    if (end instanceof SmtpClientError) {
      this.#mustReset = true
      throw end
    }
    return this.#judge(end)
  }

  rset(): Promise<ReceivedReply> {
    const reply = this.#dialogue.command('RSET', 'RSET')
    this.#end()
    onReply(reply, ({ code }) => {
      if (code >= 400) return
      this.#accepted = 0
      this.#mustReset = false
    })
    return reply
  }

  /** The transaction is forgotten with all else, by EHLO. */
  clear(): void {
    this.#end()
    this.#accepted = 0
    this.#mustReset = false
  }

  async #judge({ chunks, last }: BdatReplies): Promise<Replies> {
    for (const chunk of chunks) {
      const reply = await chunk
      if (reply.code < 400) continue
      this.#mustReset = true
      return [reply]
    }
    return Promise.all(last)
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
    return replies
  }

  #offered(): ReadonlySet<Extension> {
    return this.#dialogue.keywords as ReadonlySet<Extension>
  }

  /** What ends the transaction has been called, so another may follow it. Returns the turn. */
  #end(): number {
    this.#isOpen = false
    this.#hasNoSender = false
    return ++this.#turn
  }

  #checkOrder(step: ReplyStep): void {
    if (this.#mayWrite) throw new SmtpClientError('ERR_ORDER', 'mail data must be sent first', { step })
    if (this.#hasNoSender && step !== 'MAIL') throw new SmtpClientError('ERR_ORDER', 'mail() failed', { step })
    if (this.#mustReset) throw new SmtpClientError('ERR_ORDER', 'rset() must be answered first', { step })
  }
}

/** Notes a reply before the program hears of it. */
function onReply(reply: Promise<ReceivedReply>, note: (reply: ReceivedReply) => void): void {
  void reply.then(note, () => {})
}
