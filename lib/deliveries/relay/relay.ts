// relay(): passes each command of a transaction on to an upstream, while the client waits for the upstream's own replies.
//
//   RCPT ─ policies ─ onRcptTo ─→ MAIL, RCPT ─→ the upstream's reply
//   DATA ─ policies ─ onData ─→ DATA ─→ the upstream's 354
//   mail data ─ onMessage ─→ mail data ─→ the upstream's verdict

import type { VerifyQuestion } from '../../policies/verify-recipients/options.ts'
import type { Mailbox } from '../../protocol/addresses/mailbox.ts'
import type { Recipient, Sender } from '../../smtp/envelope.ts'
import type { Delivery } from '../../smtp/hooks.ts'
import type { Offer } from '../../smtp/offer.ts'
import type { Message } from '../../smtp/message.ts'
import type { Session, SessionInTransaction } from '../../smtp/session.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { askRecipient } from './ask-recipient.ts'
import { narrowOffer } from './offer.ts'
import type { RelayOptions, ResolvedRelay } from './options.ts'
import { resolveRelay } from './resolve-options.ts'
import { CHANGED, relayed, toldOf, transactionOver } from './relayed-replies.ts'
import { Routes } from './routes.ts'
import { RelayedTransaction } from './transaction.ts'
import { Upstream, type Probed, type UpstreamStats } from './upstream.ts'

/** A delivery to another mail server; made by {@link relay}. */
export interface Relay extends Delivery {
  /** `'relay'` */
  readonly name: string
  /** Nothing but CRLF ends a line that leaves. */
  readonly needsLines: true
  /** With `when: 'mail'` passes MAIL on. */
  onMailFrom(sender: Sender, session: Session): Promise<Reply> | void
  /** Passes RCPT on, with the first one MAIL, over a connection to the upstream. */
  onRcptTo(recipient: Recipient, session: SessionInTransaction): Reply | Promise<Reply>
  /** Passes DATA on. */
  onData(session: SessionInTransaction): Promise<Reply | void>
  /** Ends the transaction at the upstream. */
  onReset(session: Session): void
  /** Gives the connection back. */
  onClose(session: Session): void
  /** Narrows what EHLO offers to what the upstreams offered last. */
  offer(session: Session, offer: Offer): Offer
  /** Asks the upstream of a recipient whether it would take it, for the policy `verifyRecipients()`. */
  verifyRecipient(recipient: Mailbox, question: VerifyQuestion): Promise<Reply>
  /** Opens a session with each server of each upstream and ends it: says what they offer, and whether TLS and AUTH work. */
  probe(): Promise<readonly Probed[]>
  /** Counts, an entry for each upstream. */
  stats(): readonly UpstreamStats[]
  /** Ends the connections that are kept; those in use end with their transactions. */
  close(): void
}

/**
 * Passes mail on to another server, the upstream, while the client waits: at each command the client gets the upstream's
 * own reply, and 250 for a message only after the upstream has taken it. There is no queue: if the upstream fails, the
 * client is told 451, and its retry is the queue.
 *
 * ```ts
 * new SmtpHandler({ policies: [allowRecipients(['example.org'])], delivery: relay({ host: '10.0.0.5' }) })
 * ```
 *
 * @throws {MailHandlerError} `ERR_OPTION` if an option is wrong.
 */
export function relay(options: RelayOptions): Relay {
  const resolved = resolveRelay(options)
  const upstreams = [...resolved.upstreams].map(([upstream, names]) => ({
    upstream: new Upstream(upstream, resolved.store),
    names,
  }))
  const all = upstreams.map(({ upstream }) => upstream)
  const routes = new Routes(upstreams.flatMap(({ upstream, names }) => names.map(name => [name, upstream] as const)))
  const sessions = new Sessions(resolved, routes, all)
  return {
    name: 'relay',
    needsLines: true,
    onMailFrom: (sender, session) => sessions.mail(sender, session),
    onRcptTo: (recipient, session) => sessions.rcpt(recipient, session),
    onData: session => sessions.data(session),
    onMessage: (message, session) => sessions.message(message, session),
    onReset: session => sessions.end(session),
    onClose: session => sessions.end(session),
    offer: (_session, offer) => sessions.offer(offer),
    verifyRecipient: (recipient, question) => sessions.verify(recipient, question),
    probe: async () => (await Promise.all(all.map(upstream => upstream.probe()))).flat(),
    stats: () => all.map(({ stats }) => stats),
    close: () => all.forEach(upstream => upstream.close()),
  }
}

const NO_ROUTE: Reply = reply(550, '5.7.1', 'Relay not permitted')
const OTHER_DESTINATION: Reply = reply(452, '4.5.3', 'Send this recipient in another transaction')

/** The transactions of all sessions. */
class Sessions {
  readonly #options: ResolvedRelay
  readonly #routes: Routes<Upstream>
  readonly #upstreams: readonly Upstream[]
  readonly #transactions = new WeakMap<Session, RelayedTransaction>()

  constructor(options: ResolvedRelay, routes: Routes<Upstream>, upstreams: readonly Upstream[]) {
    this.#options = options
    this.#routes = routes
    this.#upstreams = upstreams
  }

  offer(offer: Offer): Offer {
    if (this.#options.probes) for (const upstream of this.#upstreams) upstream.learnOffer()
    const known = this.#upstreams.map(({ offer, options }) => ({ offer, needs8bit: options.eightBit === 'refuse' }))
    return narrowOffer(offer, known)
  }

  mail(sender: Sender, session: Session): Promise<Reply> | void {
    this.end(session)
    if (this.#options.when !== 'mail') return
    const transaction = this.#begin(this.#upstreams[0]!, sender, session)
    return guard(async () => {
      const reply = await transaction.mail()
      if (!reply.positive) this.end(session)
      return reply
    })
  }

  rcpt(recipient: Recipient, session: SessionInTransaction): Reply | Promise<Reply> {
    const upstream = this.#routes.find(recipient)
    if (upstream === null) return NO_ROUTE
    const before = this.#transactions.get(session)
    if (before?.hasRecipients === true) {
      if (before.upstream !== upstream || this.#options.recipients === 'one') return OTHER_DESTINATION
    } else if (before !== undefined && before.upstream !== upstream) this.end(session)
    const transaction = this.#transactions.get(session) ?? this.#begin(upstream, session.envelope.sender, session)
    return guard(() => transaction.rcpt(recipient))
  }

  async verify(recipient: Mailbox, { sender, network, session, signal }: VerifyQuestion): Promise<Reply> {
    const upstream = this.#routes.find(recipient)
    if (upstream === null) return NO_ROUTE
    const own = this.#transactions.get(session)
    // Nobody could be asked as long as the session itself holds the last connection; its envelope is said again.
    if (own?.upstream === upstream && !upstream.hasRoom(network)) own.yield()
    return guard(async () => {
      const told = relayed(await askRecipient(upstream, { recipient, sender, network, signal }), 'RCPT')
      if (told.trouble !== null) throw told.trouble
      return told.reply
    })
  }

  data(session: SessionInTransaction): Promise<Reply | void> {
    return guard(() => this.#transaction(session).data(session))
  }

  message(message: Message, session: SessionInTransaction): Promise<Reply | readonly Reply[]> {
    return guard(() => this.#transaction(session).send(message, session))
  }

  end(session: Session): void {
    this.#transactions.get(session)?.end()
    this.#transactions.delete(session)
  }

  /** Throws `ERR_SESSION_ENDED` for a session whose `onClose` was before: nobody would end the transaction. */
  #begin(upstream: Upstream, sender: Sender, session: Session): RelayedTransaction {
    if (session.ended) throw transactionOver()
    const transaction = new RelayedTransaction(upstream, this.#options, session, sender)
    this.#transactions.set(session, transaction)
    return transaction
  }

  #transaction(session: Session): RelayedTransaction {
    const transaction = this.#transactions.get(session)
    if (transaction === undefined) throw new SmtpError(CHANGED)
    return transaction
  }
}

/** What goes wrong with the upstream is told as a reply. */
async function guard<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const told = error instanceof SmtpError ? null : toldOf(error)
    if (told === null) throw error
    throw new SmtpError(told.reply, told.trouble === null ? {} : { cause: told.trouble })
  }
}
