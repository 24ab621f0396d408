// A message on its way to the one who takes it, and the verdict on its way back.
//
//   Body ─→ message.ts ─→ onMessage ─→ Reply for the client, or one for each recipient

import type { Reply } from '../words/reply.ts'
import type { Body } from '../stream/body.ts'
import { isPromise } from '../stream/handlers.ts'
import { channels } from './diagnostics.ts'
import { leaves } from './filtered-message.ts'
import { asVerdict, refuse, tooLate, type MessageAnswer } from './hooks.ts'
import { prepareMessage, type Message, type PreparedMessage } from './message.ts'
import type { ResolvedOptions } from './options.ts'
import type { Envelope, Session } from './session.ts'

type MessageTaker = (message: Message, session: Session) => MessageAnswer
type TakerAnswer = Awaited<MessageAnswer>

/** Who has a message delivered: an SmtpHandler. */
export interface Deliverer {
  readonly session: Session
  readonly options: ResolvedOptions
  onMessage?: MessageTaker
  replyTo(error: unknown): Reply
}

/** One message, from its first octet to the verdict. */
export class Delivery {
  readonly #deliverer: Deliverer
  readonly #envelope: Envelope
  readonly #body: Body
  readonly #beganAt: number
  #prepared: PreparedMessage | null = null
  /** Takes the verdict; null where none is waited for. */
  #resolve: ((verdict: readonly Reply[]) => void) | null = null

  /** The session is in a transaction, and `body` its mail data. */
  constructor(deliverer: Deliverer, body: Body) {
    this.#deliverer = deliverer
    this.#envelope = deliverer.session.envelope!
    this.#body = body
    this.#beganAt = deliverer.options.clock.now()
  }

  /** True while the verdict is waited for. */
  get pending(): boolean {
    return this.#resolve !== null
  }

  /**
   * Has the message delivered; resolves with what the client is to be told, and never rejects. `over` is called where
   * the message grows over the size, whether or not anybody still reads it.
   */
  run(over: () => void): Promise<readonly Reply[]> {
    const { session, options } = this.#deliverer
    if (channels.message.hasSubscribers) channels.message.publish({ session, envelope: this.#envelope })
    return new Promise(resolve => {
      this.#resolve = resolve
      try {
        this.#prepared = prepareMessage(this.#body, session, options, over)
        const answer = this.#take(this.#prepared.message)
        if (isPromise(answer)) this.#await(answer)
        else this.#judge(answer)
      } catch (error) {
        this.#fail(error)
      }
    })
  }

  /** Who was to read the message, or to judge it, does not. */
  stop(): void {
    const late = tooLate('the verdict')
    if (this.pending) this.#settle([this.#deliverer.replyTo(late)])
    this.#body.refuse(late)
    setImmediate(() => this.#prepared?.drop()) // by then the filters and the message have learned why
  }

  /** The transaction is over: tells the diagnostics channel. `verdict` is empty where the client was gone before. */
  publish(verdict: readonly Reply[]): void {
    if (!channels.transaction.hasSubscribers) return
    const { session, options } = this.#deliverer
    const milliseconds = options.clock.now() - this.#beganAt
    channels.transaction.publish({
      session,
      envelope: this.#envelope,
      octets: this.#body.octets,
      milliseconds,
      verdict,
    })
  }

  #await(pending: Promise<TakerAnswer>): void {
    void Promise.resolve(pending)
      .then(answer => this.#judge(answer))
      .catch((error: unknown) => this.#fail(error))
  }

  /**
   * What the taker says. Who destroyed the message with an error and says nothing has not taken it; and a filter that
   * fails is believed before him who did not get the message whole.
   */
  #judge(answer: TakerAnswer): void {
    const { session } = this.#deliverer
    const prepared = this.#prepared!
    const { errored } = prepared.message
    if (!leaves(errored) && (answer === undefined || answer === null)) {
      this.#fail(errored)
      return
    }
    const verdict = asVerdict(answer, session.lmtp ? this.#envelope.recipients.length : 1)
    const refusal = verdict.find(each => !each.positive)
    if (refusal !== undefined) refuse(refusal, this.#taker, { hook: 'onMessage', session })
    if (!verdict.some(each => each.positive)) {
      prepared.drop()
      this.#settle(verdict)
      return
    }
    const finishing = prepared.finish()
    if (finishing === null) this.#settle(verdict)
    else void finishing.then(failure => this.#finish(verdict, failure))
  }

  /** The filters are done, one of them with a failure perhaps. */
  #finish(verdict: readonly Reply[], failure: Error | null): void {
    if (failure === null) this.#settle(verdict)
    else if (verdict.every(each => each.positive)) this.#fail(failure)
    else {
      const failed = this.#deliverer.replyTo(failure)
      this.#settle(verdict.map(each => (each.positive ? failed : each)))
    }
  }

  #fail(error: unknown): void {
    if (this.#resolve === null) return
    this.#settle([this.#deliverer.replyTo(error)])
    this.#prepared?.drop()
  }

  /** Only the first counts. */
  #settle(verdict: readonly Reply[]): void {
    const resolve = this.#resolve
    this.#resolve = null
    resolve?.(toEach(verdict, this.#deliverer.session, this.#envelope))
  }

  /** The name of the policy that takes the message; none where the handler does. */
  get #taker(): string | undefined {
    const { onMessage, options } = this.#deliverer
    return onMessage === undefined ? options.hooks.onMessage[0]?.policy : undefined
  }

  #take(message: Message): MessageAnswer {
    const deliverer = this.#deliverer
    const { session, options } = deliverer
    if (deliverer.onMessage !== undefined) return deliverer.onMessage(message, session)
    return (options.hooks.onMessage[0] as MessageTaker)(message, session)
  }
}

/** One verdict is every recipient's, where each is to have a reply. [RFC 2033 §4.2] */
export function toEach(verdict: readonly Reply[], { lmtp }: Session, envelope: Envelope | null): readonly Reply[] {
  if (!lmtp || verdict.length !== 1 || envelope === null) return verdict
  return envelope.recipients.map(() => verdict[0]!)
}
