// A message on its way to the one who takes it, and the verdict on its way back.
//
//   Body ─→ message.ts ─→ onMessage ─→ Reply for the client, or one for each recipient

import type { Reply } from '../words/reply.ts'
import type { Body } from '../stream/body.ts'
import { channels } from './diagnostics.ts'
import { asVerdict, refuse, tooLate, type MessageAnswer } from './hooks.ts'
import { prepareMessage, type Message, type PreparedMessage } from './message.ts'
import type { ResolvedOptions } from './options.ts'
import type { Envelope, Session } from './session.ts'

type MessageTaker = (message: Message, session: Session) => MessageAnswer

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
  /** Gives a verdict up that `onMessage` does not come to; null where there is none to wait for. */
  #giveUp: ((error: Error) => void) | null = null

  /** The session is in a transaction, and `body` its mail data. */
  constructor(deliverer: Deliverer, body: Body) {
    this.#deliverer = deliverer
    this.#envelope = deliverer.session.envelope!
    this.#body = body
    this.#beganAt = deliverer.options.clock.now()
  }

  /** True while the verdict is waited for. */
  get pending(): boolean {
    return this.#giveUp !== null
  }

  /**
   * Has the message delivered; resolves with what the client is to be told, and never rejects. `over` is called where
   * the message grows over the size, whether or not anybody still reads it.
   */
  async run(over: () => void): Promise<readonly Reply[]> {
    const { session, options } = this.#deliverer
    const envelope = this.#envelope
    if (channels.message.hasSubscribers) channels.message.publish({ session, envelope })
    let prepared: PreparedMessage | null = null
    let verdict: readonly Reply[]
    try {
      const message = prepareMessage(this.#body, session, options, over)
      prepared = message
      verdict = await new Promise((resolve, reject) => {
        this.#giveUp = reject
        this.#deliver(message).then(resolve, reject)
      })
    } catch (error) {
      verdict = [this.#deliverer.replyTo(error)]
      prepared?.drop()
    }
    this.#giveUp = null
    return toEach(verdict, session, envelope)
  }

  /** Who was to read the message, or to judge it, does not. */
  stop(): void {
    const late = tooLate('the verdict')
    this.#giveUp?.(late)
    this.#body.refuse(late)
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

  /** What the taker says; but a filter that fails is believed before him who did not get the message whole. */
  async #deliver(prepared: PreparedMessage): Promise<readonly Reply[]> {
    const { lmtp } = this.#deliverer.session
    const verdict = asVerdict(await this.#take(prepared.message), lmtp ? this.#envelope.recipients.length : 1)
    const refusal = verdict.find(each => !each.positive)
    if (refusal !== undefined) refuse(refusal, this.#taker, { hook: 'onMessage', session: this.#deliverer.session })
    if (!verdict.some(each => each.positive)) {
      prepared.drop()
      return verdict
    }
    const finishing = prepared.finish()
    const failure = finishing === null ? null : await finishing
    if (failure === null) return verdict
    if (verdict.every(each => each.positive)) throw failure
    const failed = this.#deliverer.replyTo(failure)
    return verdict.map(each => (each.positive ? failed : each))
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
