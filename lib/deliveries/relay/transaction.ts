// One mail transaction of a client, as it is said to the upstream.
//
//   RCPT ─ first: a connection, MAIL and RCPT together ─→ replies
//   DATA ─ DATA, or nothing if BDAT follows ─→ 354
//   message ─ sendMessage ─→ the verdict
//
// Before the mail data the envelope can be said again on another connection, if the one it was said on is lost; then every
// reply has to be what it was. Behind the first octet of mail data nothing is ever said twice.

import { SmtpClientError } from '../../client/client-error.ts'
import type { SmtpClient } from '../../client/smtp-client.ts'
import type { ReceivedReply } from '../../protocol/replies/received-reply.ts'
import type { Recipient, Sender } from '../../smtp/envelope.ts'
import type { Message } from '../../smtp/message.ts'
import type { Session, SessionInTransaction } from '../../smtp/session.ts'
import type { Reply } from '../../words/reply.ts'
import type { Clock } from '../../time/clock.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import { usesXforward, xforwardOf } from './client-info.ts'
import { upstreamChannel } from './diagnostics.ts'
import type { ResolvedRelay } from './options.ts'
import { mailParameters, rcptParameters } from './parameters.ts'
import { CHANGED, isLoss, relayed, replyOf, transactionOver, type RelayedStep } from './relayed-replies.ts'
import { Recognized } from './recognize.ts'
import type { RetryGuard } from './retry-guard.ts'
import { sendMessage } from './send-message.ts'
import type { Lease } from './lease.ts'
import type { Upstream } from './upstream.ts'
import { Verdicts } from './verdicts.ts'

/** A recipient, and what the upstream has answered. */
interface Accepted {
  readonly recipient: Recipient
  readonly code: number
}

type Replies = readonly ReceivedReply[]

/** The replies to an envelope; `rcpts` has none if MAIL was refused. */
interface EnvelopeReplies {
  readonly mail: ReceivedReply
  readonly rcpts: Replies
}

/** One transaction at one upstream. */
export class RelayedTransaction {
  readonly upstream: Upstream
  readonly #options: ResolvedRelay
  readonly #session: Session
  readonly #sender: Sender
  /** Null unless one verdict has to be told for those of several recipients. */
  readonly #retry: RetryGuard | null
  /** Aborted if the transaction ends while it waits for a connection. */
  #connecting: AbortController | null = null
  #lease: Lease | null = null
  #silence: unknown = null
  /** The refusal of MAIL, which every RCPT is told. */
  #refusal: ReceivedReply | null = null
  #accepted: Accepted[] = []
  /** `envelope`: it may be said again; `data`: the upstream waits for mail data; `sending`; `over`. */
  #phase: 'envelope' | 'data' | 'sending' | 'over' = 'envelope'

  constructor(upstream: Upstream, options: ResolvedRelay, session: Session, sender: Sender) {
    this.upstream = upstream
    this.#options = options
    this.#session = session
    this.#sender = sender
    this.#retry = upstream.guardRetry(session, sender.address)
  }

  /** True if the upstream has accepted a recipient. */
  get hasRecipients(): boolean {
    return this.#accepted.length > 0
  }

  /** Says MAIL alone. */
  async mail(): Promise<Reply> {
    const begun = this.#clock.now()
    const { mail } = await this.#withConnection('MAIL', client => this.#sayEnvelope(client, []))
    this.#publish('MAIL', mail, begun)
    if (mail.code >= 400) this.#giveBack()
    return replyOf(relayed(mail, 'MAIL'))
  }

  /** Says RCPT, behind MAIL if that was not said yet. A refusal of MAIL is the reply to every RCPT. */
  async rcpt(recipient: Recipient): Promise<Reply> {
    if (this.#refusal !== null) return replyOf(relayed(this.#refusal, 'MAIL'))
    const isAlone = this.#accepted.length === 0
    const begun = this.#clock.now()
    const known = (await this.#retry?.takeRefusal(recipient.address, isAlone)) ?? null
    if (known !== null) return known
    const { mail, rcpts } = await this.#withConnection('RCPT', async (client, isNew) => {
      if (!isNew) return { mail: null, rcpts: [await this.#sayRcpt(client, recipient)] }
      return this.#sayEnvelope(client, [recipient])
    })
    const reply = rcpts.at(-1) ?? mail!
    this.#publish('RCPT', reply, begun)
    if (this.#refusal !== null) {
      this.#giveBack()
      return replyOf(relayed(reply, 'MAIL'))
    }
    if (reply.code < 400) this.#accepted.push({ recipient, code: reply.code })
    return replyOf(relayed(reply, 'RCPT'))
  }

  /** Says DATA; nothing if the mail data will go by BDAT, so that there is nothing to say yet. */
  async data(session: SessionInTransaction): Promise<Reply | void> {
    this.#checkRecipients(session)
    const begun = this.#clock.now()
    const reply = await this.#withConnection('DATA', async (client, isNew) => {
      if (isNew) await this.#sayEnvelope(client, [])
      return this.#sendsChunks(client) ? null : client.startData()
    })
    if ((this.#phase as string) === 'over') throw transactionOver()
    if (reply !== null) this.#publish('DATA', reply, begun)
    if (reply === null || reply.code === 354) {
      this.#phase = 'data'
      this.#clock.clear(this.#silence)
    }
    if (reply !== null) return replyOf(relayed(reply, 'DATA'))
  }

  /** Sends the message and resolves with the verdict: one reply, or for a client of LMTP one for each recipient. */
  async send(message: Message, session: SessionInTransaction): Promise<Reply | readonly Reply[]> {
    const lease = this.#lease
    if (lease === null || this.#phase !== 'data') throw transactionOver()
    this.#phase = 'sending'
    const verdicts = new Verdicts(
      this.#accepted.map(({ recipient }) => recipient.address),
      this.#retry,
    )
    let replies: Replies
    try {
      replies = await this.#sendOn(lease, message, session, verdicts)
    } catch (error) {
      if (error instanceof Recognized) return error.reply
      return verdicts.lost(error)
    }
    return verdicts.all(replies)
  }

  async #sendOn(lease: Lease, message: Message, session: SessionInTransaction, verdicts: Verdicts): Promise<Replies> {
    const begun = this.#clock.now()
    const byBdat = this.#sendsChunks(lease.client)
    let isUsable = byBdat
    try {
      const fields = this.#options.header?.(session) ?? null
      const onReply = (reply: ReceivedReply): void => verdicts.add(reply)
      const how = { byBdat, fields, through: verdicts.through, watch: lease.watch, onReply }
      const replies = await sendMessage(lease.client, message, how)
      isUsable = true
      for (const reply of replies) this.#publish('end', reply, begun)
      return replies
    } catch (error) {
      this.#publish('end', error, begun)
      throw error
    } finally {
      this.#phase = 'over'
      this.#giveBack(isUsable)
    }
  }

  /** Gives the connection back as long as nothing but the envelope was said on it, which is said again at the next step. */
  yield(): void {
    if (this.#phase === 'envelope') this.#giveBack()
  }

  /** The client has ended the transaction, or is gone. */
  end(): void {
    this.#connecting?.abort()
    if (this.#phase === 'sending') return // its mail data fails, or is whole: then the upstream decides
    const isUsable = this.#phase !== 'data' || this.#lease === null || this.#sendsChunks(this.#lease.client)
    this.#phase = 'over'
    this.#giveBack(isUsable)
  }

  /**
   * Does something on the connection of the transaction, or on a new one, on which nothing was said. If the connection is
   * lost, it is done once more on another one; more often only if it was kept from before, which may be closed any time.
   */
  async #withConnection<T>(step: RelayedStep, act: (client: SmtpClient, isNew: boolean) => Promise<T>): Promise<T> {
    this.#clock.clear(this.#silence)
    const begun = this.#clock.now()
    for (let losses = 0; ;) {
      const isNew = this.#lease === null
      const lease = this.#lease ?? (await this.#connect())
      try {
        const result = await act(lease.client, isNew)
        this.#limitSilence()
        return result
      } catch (error) {
        this.#publish(step, error, begun)
        this.#giveBack() // what the upstream knows of the envelope now is no longer certain
        if (lease.client.failure === null || !isLoss(error) || this.#phase !== 'envelope') throw error
        if (!(isNew && lease.isUsed) && ++losses > 1) throw error
      }
    }
  }

  async #connect(): Promise<Lease> {
    if (this.#phase !== 'envelope') throw transactionOver()
    const connecting = (this.#connecting = new AbortController())
    const lease = await this.upstream.acquire(this.#session, connecting.signal)
    this.#connecting = null
    if ((this.#phase as string) === 'over') {
      lease.release()
      throw transactionOver()
    }
    this.#lease = lease
    return lease
  }

  /** Says MAIL, the recipients that were accepted before, and new ones. Rejects if one is answered otherwise than before. */
  async #sayEnvelope(client: SmtpClient, added: readonly Recipient[]): Promise<EnvelopeReplies> {
    const offer = client.offer!
    const { eightBit, clientInfo } = this.upstream.options
    const parameters = mailParameters(this.#sender, offer, { eightBit, isTrusted: this.#session.user !== null })
    const recipients = [...this.#accepted.map(({ recipient }) => recipient), ...added]
    const forwarded = usesXforward(clientInfo, offer) ? client.xforward(xforwardOf(this.#session)) : null
    const mail = client.mail(this.#sender.address, parameters)
    // Not awaited one by one: they leave together.
    const rcpts = recipients.map(recipient => this.#sayRcpt(client, recipient))
    const replies = await Promise.all([mail, ...rcpts.map(rcpt => rcpt.catch((error: unknown) => error as Error))])
    if (client.failure !== null) throw client.failure // such as 421, which is no refusal of this envelope
    const refused = await forwarded
    if (refused !== null && refused.code >= 400) throw new SmtpError(CHANGED)
    return this.#check(replies[0], replies.slice(1) as readonly (ReceivedReply | Error)[])
  }

  #check(mail: ReceivedReply, rcpts: readonly (ReceivedReply | Error)[]): EnvelopeReplies {
    if (mail.code >= 400) {
      if (this.#accepted.length > 0) throw new SmtpError(CHANGED)
      this.#refusal = mail
      return { mail, rcpts: [] }
    }
    const failed = rcpts.find(each => each instanceof Error)
    if (failed !== undefined) throw failed
    const replies = rcpts as Replies
    if (this.#accepted.some(({ code }, i) => replies[i]!.code !== code)) throw new SmtpError(CHANGED)
    return { mail, rcpts: replies.slice(this.#accepted.length) }
  }

  #sayRcpt(client: SmtpClient, recipient: Recipient): Promise<ReceivedReply> {
    return client.rcpt(recipient.address, rcptParameters(recipient, client.offer!))
  }

  #sendsChunks({ offer }: SmtpClient): boolean {
    const isBinary = this.#sender.parameters.body === 'BINARYMIME'
    return offer!.extensions.has('CHUNKING') && (this.upstream.options.chunking || isBinary)
  }

  get #clock(): Clock {
    return this.#options.clock
  }

  /**
   * A RCPT whose hook took too long was refused here, but perhaps accepted there: then the envelope is said again without
   * it.
   */
  #checkRecipients({ envelope }: SessionInTransaction): void {
    const here = envelope.recipients
    const kept = this.#accepted.filter(({ recipient }) => here.includes(recipient))
    if (kept.length !== here.length) throw new SmtpError(CHANGED)
    if (kept.length === this.#accepted.length) return
    this.#accepted = kept
    this.#giveBack()
  }

  /** Not `isUsable`: the upstream waits for the mail data of DATA, so nothing else can be said. */
  #giveBack(isUsable = true): void {
    const lease = this.#lease
    this.#lease = null
    this.#clock.clear(this.#silence)
    if (isUsable) lease?.release()
    else lease?.discard()
  }

  /** A client that stays silent before DATA gives its connection back; the envelope is said again then. */
  #limitSilence(): void {
    if (this.#lease === null) return
    this.#silence = this.#clock.after(this.upstream.options.pool.silence, () => this.yield())
  }

  #publish(step: RelayedStep, outcome: unknown, begun: number): void {
    if (!upstreamChannel.hasSubscribers) return
    const error = outcome instanceof SmtpClientError ? outcome : null
    if (outcome instanceof Error && error === null) return // it is not about the upstream
    upstreamChannel.publish({
      session: this.#session,
      upstream: this.#lease?.label ?? '',
      step,
      reply: error === null ? (outcome as ReceivedReply) : error.reply,
      error,
      milliseconds: this.#clock.now() - begun,
    })
  }
}
