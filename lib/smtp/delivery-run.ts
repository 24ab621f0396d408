// One message handed to the delivery, and the verdict on its way back.
//
//   MailData ─ prepareMessage ─→ onMessage ─ verdict ─ filters done ─→ Reply for the client, or one for each recipient

import { asVerdict } from '../stream/answers.ts'
import { isPromise, type Verdict } from '../stream/handlers.ts'
import type { MailData } from '../stream/mail-data.ts'
import { MailHandlerError } from '../words/errors.ts'
import type { Reply } from '../words/reply.ts'
import { channels } from './diagnostics.ts'
import { isLeaving } from './filtered-message.ts'
import { tookTooLong, type HookRunner } from './hook-runner.ts'
import type { MessageAnswer } from './hooks.ts'
import type { Message } from './message.ts'
import type { Offer } from './offer.ts'
import type { ResolvedOptions } from './options.ts'
import { prepareMessage, type PreparedMessage } from './prepare-message.ts'
import type { SessionInTransaction, SessionState } from './session.ts'
import type { Transaction } from './envelope.ts'

/** What a run needs of its session. */
export interface DeliveryContext {
  readonly state: SessionState
  readonly options: ResolvedOptions
  readonly hooks: HookRunner
  readonly offer: Offer
  /** Calls `onMessage` of the delivery or the handler. */
  take(message: Message, session: SessionInTransaction): MessageAnswer
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
  #said: readonly Reply[] = []

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
        this.#prepared = prepareMessage(this.#data, session, options, offer.size)
        const answer = this.#context.take(this.#prepared.message, session)
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

  /** The transaction is over: tells the diagnostics channel. `verdict` is empty if the client was gone before. */
  publish(verdict: readonly Reply[]): void {
    if (!channels.transaction.hasSubscribers) return
    channels.transaction.publish({
      session: this.#context.state.view,
      envelope: this.#transaction,
      octets: this.#data.octets,
      milliseconds: this.#context.options.clock.now() - this.#startedAt,
      verdict: [...this.#said, ...verdict],
    })
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
      this.#judgeEach(answer).catch((error: unknown) => this.#fail(error))
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
    const { state } = this.#context
    const wanted = state.isLmtp ? this.#transaction.recipients.length : 1
    const iterator = answers[Symbol.asyncIterator]()
    const said: Reply[] = []
    for (let i = 0; i < wanted; i++) {
      const each = await this.#next(iterator, said.length, wanted)
      if (!this.isPending) return
      if (!each.positive) this.#publishRefusal(each)
      this.#data.discardUnread()
      await this.#data.whenEnded()
      const failure = i === 0 ? await this.#prepared!.finish() : null
      const [reply] = this.#data.judge(this.#after(failure, [each]))
      if (!this.isPending) return
      if (i === wanted - 1) return this.#settle([reply!])
      this.#context.say(reply!)
      said.push(reply!)
      this.#said = said
    }
  }

  async #next(iterator: AsyncIterator<Reply, unknown>, known: number, wanted: number): Promise<Reply> {
    try {
      const { done, value } = await iterator.next()
      if (done !== true) return asVerdict(value, 'onMessage', 1)[0]!
      const problem = `onMessage gave ${known} replies for ${wanted} recipients`
      return this.#context.replyTo(new MailHandlerError('ERR_REPLY', problem))
    } catch (error) {
      return this.#context.replyTo(error)
    }
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

function isAsyncIterable(answer: unknown): answer is AsyncIterable<Reply> {
  return typeof (answer as Partial<AsyncIterable<Reply>> | null)?.[Symbol.asyncIterator] === 'function'
}
