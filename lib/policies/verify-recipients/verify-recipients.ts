// Asks the server behind this one whether it would take a recipient.
//
//   RCPT ─ network has asked for too many unknown ones? ─→ 450
//        └ kept answer, or upstream.verifyRecipient() ─ positive ─→ passes
//                                                     ├ 5yz ─→ its own words, counted for the network
//                                                     └ none ─→ onFailure

import { canonicalAddress } from '../../protocol/addresses/mailbox.ts'
import { networkOf } from '../../protocol/networks/network.ts'
import type { Recipient } from '../../smtp/envelope.ts'
import type { SessionInTransaction } from '../../smtp/session.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import { Answers } from './answers.ts'
import { resolveVerifyRecipients, type ResolvedVerifyRecipients, type VerifyRecipientsOptions } from './options.ts'

const TOO_MANY: Reply = reply(450, '4.7.1', 'Too many unknown recipients, try again later')
const NOT_VERIFIED: Reply = reply(451, '4.4.1', 'The recipient cannot be verified now, please try again later')

/** What {@link verifyRecipients} gives: a policy with one hook. */
export interface VerifyRecipients {
  /** What logs and metrics call it. */
  readonly name: string
  /** Refuses a recipient that does not exist, in the upstream's words. */
  onRcptTo(recipient: Recipient, session: SessionInTransaction): Promise<Reply | void> | void
}

/**
 * Refuses recipients that the server behind this one would refuse: it is asked by MAIL, RCPT and RSET, as this server
 * and not as the client, and its answers are kept. Put it behind greylisting, so that a stranger cannot tell unknown
 * recipients from known ones before the wait is over; a client network that asks for too many unknown ones gets 450 for
 * all recipients, known ones too, so that nobody lists the users of a domain.
 *
 * ```ts
 * const upstream = relay({ host: '10.0.0.5' })
 * new SmtpHandler({
 *   policies: [allowRecipients(['example.org']), greylist({ store }), verifyRecipients({ upstream })],
 *   delivery: upstream,
 * })
 * ```
 *
 * @throws {MailHandlerError} `ERR_OPTION` if an option is wrong.
 */
export function verifyRecipients(options: VerifyRecipientsOptions): VerifyRecipients {
  const policy = new Verification(resolveVerifyRecipients(options))
  return {
    name: 'verifyRecipients',
    // Postmaster without a domain is this server's. [RFC 5321 §4.5.1]
    onRcptTo: (recipient, session) => (recipient.domain === '' ? undefined : policy.verify(recipient, session)),
  }
}

class Verification {
  readonly #options: ResolvedVerifyRecipients
  readonly #answers: Answers

  constructor(options: ResolvedVerifyRecipients) {
    this.#options = options
    this.#answers = new Answers(options.cache, options.clock)
  }

  async verify(recipient: Recipient, session: SessionInTransaction): Promise<Reply | void> {
    const { counter, onFailure } = this.#options
    const network = this.#countedNetwork(session)
    if (network !== null && (await counter.isExhausted(network))) return TOO_MANY
    const key = canonicalAddress(recipient)
    const answer = await this.#ask(key, recipient, session)
    if (answer instanceof Error) {
      if (onFailure === 'defer') throw new SmtpError(NOT_VERIFIED, { cause: answer })
      return
    }
    if (answer.positive) return
    if (answer.code < 500) return onFailure === 'defer' ? NOT_VERIFIED : undefined
    if (network !== null) await counter.hit(network, key)
    return answer
  }

  /** The answer, or why there is none. */
  async #ask(key: string, recipient: Recipient, session: SessionInTransaction): Promise<Reply | Error> {
    const { upstream, sender, timeout, clock } = this.#options
    const { address } = session.client
    try {
      return await this.#answers.get(key, async () => {
        const abort = new AbortController()
        const timer = clock.after(timeout, () => abort.abort())
        const late = new Promise<never>((_, reject) => {
          abort.signal.addEventListener('abort', () => reject(new Error('the upstream did not answer in time')))
        })
        late.catch(() => {})
        const network = address === null ? null : networkOf(address)
        const question = { sender, network, session, signal: abort.signal }
        try {
          return await Promise.race([upstream.verifyRecipient(recipient, question), late])
        } finally {
          clock.clear(timer)
        }
      })
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  /** Null for a client whose unknown recipients are not counted. */
  #countedNetwork({ client: { address }, user }: SessionInTransaction): string | null {
    return address === null || user !== null || this.#options.except.has(address) ? null : networkOf(address)
  }
}
