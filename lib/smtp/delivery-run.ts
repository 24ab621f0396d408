// One message handed to the delivery, and the verdict on its way back.
//
//   MailData ─ prepareMessage ─→ onMessage ─ verdict ─ filters done ─→ Reply for the client, or one for each recipient

import { asVerdict } from '../stream/answers.ts'
import { sessionEnded } from '../stream/dialogue.ts'
import { isPromise, type Verdict } from '../stream/handlers.ts'
import type { MailData } from '../stream/mail-data.ts'
import { MailHandlerError } from '../words/errors.ts'
import type { Reply } from '../words/reply.ts'
import { channels } from './diagnostics.ts'
import { isLeaving } from './filtered-message.ts'
import { tookTooLong, type HookRunner } from './hook-runner.ts'
import type { MessageAnswer, TakingHook } from './hooks.ts'
import type { Offer } from './offer.ts'
import type { ResolvedOptions } from './options.ts'
import { prepareMessage, type PreparedMessage } from './prepare-message.ts'
import type { SessionInTransaction, SessionState } from './session.ts'
import type { Transaction } from './envelope.ts'
import { unreadError } from './unread-message.ts'

/** What a run needs of its session. */
export interface DeliveryContext {
  readonly state: SessionState
  readonly options: ResolvedOptions
  readonly hooks: HookRunner
  readonly offer: Offer
  /** The delivery, or the handler: has `onMessage`. */
  readonly taker: TakingHook
  /** The reply to what was thrown; a program error is reported. */
  replyTo(error: unknown): Reply
  /** Sends a reply before the last one to the command at hand. */
  say(reply: Reply): void
}

/** One message, from its first octet to the verdict. */
export class DeliveryRun {
  readonly #context: DeliveryContext
  readonly #data: MailData
  readonly #transaction: Transaction
  readonly #startedAt: number
  #prepared: PreparedMessage | null = null
  /** Takes the verdict; null if none is awaited. */
  #resolve: ((verdict: readonly Reply[]) => void) | null = null
  /** Replies for the first recipients that have been sent already. */
  readonly #said: Reply[] = []
  /** Set once replies are given one by one. */
  #whole: Promise<Reply | null> | null = null

  /** The session is in a transaction, and `data` is its mail data. */
  constructor(context: DeliveryContext, data: MailData) {
    this.#context = context
    this.#data = data
    this.#transaction = context.state.transaction!
    this.#startedAt = context.options.clock.now()
  }

  /** True while the verdict is awaited. */
  get isPending(): boolean {
    return this.#resolve !== null
  }

  /** Has the message taken; what it returns or resolves with is for the client. Never throws or rejects. */
  start(): Verdict {
    const { state, options, offer } = this.#context
    const session = state.view as SessionInTransaction
    if (channels.message.hasSubscribers) channels.message.publish({ session, envelope: this.#transaction })
    return new Promise(resolve => {
      this.#resolve = resolve
      try {
        if (state.hasEnded) throw sessionEnded() // a subscriber has destroyed the handler
        this.#prepared = prepareMessage(this.#data, session, options, offer.size)
        const answer = this.#context.taker.onMessage!(this.#prepared.message, session)
        if (isPromise(answer)) this.#await(answer)
        else this.#judge(answer)
      } catch (error) {
        this.#fail(error)
      }
    })
  }

  /** The verdict took too long: the client is told to try again, and the signal of the transaction is aborted. */
  stop(): void {
    const late = tookTooLong('the verdict')
    if (this.isPending) this.#settle([this.#context.replyTo(late)])
    this.#transaction.abort()
    this.#data.refuse(late)
    setImmediate(() => this.#prepared?.drop()) // by then the filters and the message have been destroyed with the error
  }

  /**
   * The transaction is over: tells the envelope and the diagnostics channel. `verdict` is what has not been said yet, and
   * empty if the client was gone. Returns the verdict with the replies that were said before.
   */
  conclude(verdict: readonly Reply[]): readonly Reply[] {
    const whole = [...this.#said, ...verdict]
    this.#transaction.conclude(whole)
    if (channels.transaction.hasSubscribers) {
      channels.transaction.publish({
        session: this.#context.state.view,
        envelope: this.#transaction,
        octets: this.#data.octets,
        milliseconds: this.#context.options.clock.now() - this.#startedAt,
        verdict: this.#transaction.verdict,
      })
    }
    return whole
  }

  #await(pending: PromiseLike<Awaited<MessageAnswer>>): void {
    void Promise.resolve(pending)
      .then(answer => this.#judge(answer))
      .catch((error: unknown) => this.#fail(error))
  }

  /** A delivery that destroyed the message with an error and returns nothing has not taken it. */
  #judge(answer: Awaited<MessageAnswer>): void {
    const { errored } = this.#prepared!.message
    if (!isLeaving(errored) && (answer === undefined || answer === null)) return this.#fail(errored)
    if (isAsyncIterable(answer)) {
      void this.#judgeEach(answer)
      return
    }
    const { isLmtp } = this.#context.state
    this.#finish(asVerdict(answer, 'onMessage', isLmtp ? this.#transaction.recipients.length : 1))
  }

  /** The error of a filter comes before the answer of a delivery that did not get the message whole. */
  #finish(verdict: readonly Reply[]): void {
    const prepared = this.#prepared!
    const refusal = verdict.find(each => !each.positive)
    if (refusal !== undefined) this.#publishRefusal(refusal)
    if (!verdict.some(each => each.positive)) {
      prepared.drop()
      this.#settle(verdict)
      return
    }
    this.#reportUnread()
    const finishing = prepared.finish()
    if (finishing === null) this.#settle(verdict)
    else void finishing.then(failure => this.isPending && this.#settle(this.#after(failure, verdict)))
  }

  #after(failure: Error | null, verdict: readonly Reply[]): readonly Reply[] {
    if (failure === null) return verdict
    const failed = this.#context.replyTo(failure)
    return verdict.map(each => (each.positive ? failed : each))
  }

  /** One reply a recipient, each sent as soon as it is known and the end of data was seen. [RFC 2033 §4.2] */
  async #judgeEach(answers: AsyncIterable<Reply>): Promise<void> {
    const wanted = this.#context.state.isLmtp ? this.#transaction.recipients.length : 1
    let given = 0
    try {
      for await (const answer of answers) {
        if (given === wanted) throw wrongCount(`more than ${given}`, wanted)
        const [reply] = asVerdict(answer, 'onMessage', 1)
        given += 1
        if (!(await this.#giveNext(reply!, given === wanted))) return
      }
      if (given < wanted) throw wrongCount(String(given), wanted)
    } catch (error) {
      if (given < wanted) this.#fail(error)
      else this.#context.replyTo(error) // only reported: every recipient has its reply
    }
  }

  /** Sends the reply for the next recipient; false if nobody waits for it any more. */
  async #giveNext(given: Reply, isLast: boolean): Promise<boolean> {
    if (!this.isPending) return false
    if (!given.positive) this.#publishRefusal(given)
    if (given.positive) this.#reportUnread()
    this.#whole ??= this.#whenWhole()
    const refusal = await this.#whole
    if (!this.isPending || !this.#data.hasEnded) return false
    const [reply] = this.#data.judge([given.positive ? (refusal ?? given) : given])
    if (isLast) this.#settle([reply!])
    else {
      this.#context.say(reply!)
      this.#said.push(reply!)
    }
    return true
  }

  /** Resolves at the end of the mail data, when the filters are done: with the reply to one that failed, or null. */
  async #whenWhole(): Promise<Reply | null> {
    this.#data.discardUnread()
    const finishing = this.#prepared!.finish() // before the end of data, which waits for it if nobody reads
    await this.#data.whenEnded()
    const failure = await finishing
    return failure === null ? null : this.#context.replyTo(failure)
  }

  /** Before the rest of the message is discarded. */
  #reportUnread(): void {
    const { message } = this.#prepared!
    if (message.readableEnded) return
    const error = unreadError(message, this.#context.taker.onMessage)
    if (error !== null) this.#context.replyTo(error) // only reported
  }

  #publishRefusal(refusal: Reply): void {
    const { hooks, options } = this.#context
    hooks.refuse(refusal, 'onMessage', options.delivery?.name)
  }

  #fail(error: unknown): void {
    if (this.#resolve === null) return
    this.#settle([this.#context.replyTo(error)])
    this.#prepared?.drop()
  }

  /** The first verdict counts. */
  #settle(verdict: readonly Reply[]): void {
    const resolve = this.#resolve
    this.#resolve = null
    const { isLmtp } = this.#context.state
    const left = this.#transaction.recipients.length - this.#said.length
    resolve?.(isLmtp && verdict.length === 1 && left > 1 ? Array.from({ length: left }, () => verdict[0]!) : verdict)
  }
}

function wrongCount(given: string, wanted: number): MailHandlerError {
  return new MailHandlerError('ERR_REPLY', `onMessage gave ${given} of ${wanted} replies, one for each recipient`)
}

function isAsyncIterable(answer: unknown): answer is AsyncIterable<Reply> {
  return typeof (answer as Partial<AsyncIterable<Reply>> | null)?.[Symbol.asyncIterator] === 'function'
}
