// relay(): passes each command of a transaction on to an upstream, while the client waits for the upstream's own replies.
//
//   RCPT ─ policies ─ onRcptTo ─→ MAIL, RCPT ─→ the upstream's reply
//   DATA ─ policies ─ onData ─→ DATA ─→ the upstream's 354
//   mail data ─ onMessage ─→ mail data ─→ the upstream's verdict

import type { Recipient, Sender } from '../../smtp/envelope.ts'
import type { Delivery } from '../../smtp/hooks.ts'
import type { Message } from '../../smtp/message.ts'
import type { Session, SessionInTransaction } from '../../smtp/session.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import type { Reply } from '../../words/reply.ts'
import { resolveRelay, type RelayOptions, type ResolvedRelay } from './options.ts'
import { CHANGED, relayed, toldOf, type Told } from './relayed-replies.ts'
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
  onRcptTo(recipient: Recipient, session: SessionInTransaction): Promise<Reply>
  /** Passes DATA on. */
  onData(session: SessionInTransaction): Promise<Reply | void>
  /** Ends the transaction at the upstream. */
  onReset(session: Session): void
  /** Gives the connection back. */
  onClose(session: Session): void
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
  const upstream = new Upstream(resolved.upstream)
  const sessions = new Sessions(resolved, upstream)
  return {
    name: 'relay',
    needsLines: true,
    onMailFrom: (sender, session) => sessions.mail(sender, session),
    onRcptTo: (recipient, session) => sessions.rcpt(recipient, session),
    onData: session => sessions.data(session),
    onMessage: (message, session) => sessions.message(message, session),
    onReset: session => sessions.end(session),
    onClose: session => sessions.end(session),
    probe: () => upstream.probe(),
    stats: () => [upstream.stats],
    close: () => upstream.close(),
  }
}

/** The transactions of all sessions. */
class Sessions {
  readonly #options: ResolvedRelay
  readonly #upstream: Upstream
  readonly #transactions = new WeakMap<Session, RelayedTransaction>()

  constructor(options: ResolvedRelay, upstream: Upstream) {
    this.#options = options
    this.#upstream = upstream
  }

  mail(sender: Sender, session: Session): Promise<Reply> | void {
    this.end(session)
    if (this.#options.when !== 'mail') return
    const transaction = this.#begin(sender, session)
    return guard(async () => {
      const reply = replyOf(relayed(await transaction.mail(), 'MAIL'))
      if (!reply.positive) this.end(session)
      return reply
    })
  }

  rcpt(recipient: Recipient, session: SessionInTransaction): Promise<Reply> {
    const transaction = this.#transactions.get(session) ?? this.#begin(session.envelope.sender, session)
    return guard(async () => replyOf(relayed(await transaction.rcpt(recipient), 'RCPT')))
  }

  data(session: SessionInTransaction): Promise<Reply | void> {
    return guard(async () => {
      const reply = await this.#transaction(session).data(session)
      if (reply !== null) return replyOf(relayed(reply, 'DATA'))
    })
  }

  message(message: Message, session: SessionInTransaction): Promise<Reply | readonly Reply[]> {
    return guard(async () => {
      const replies = await this.#transaction(session).send(message, session)
      return verdictOf(replies.map(reply => replyOf(relayed(reply, 'end'))))
    })
  }

  end(session: Session): void {
    this.#transactions.get(session)?.end()
    this.#transactions.delete(session)
  }

  #begin(sender: Sender, session: Session): RelayedTransaction {
    const transaction = new RelayedTransaction(this.#upstream, this.#options, session, sender)
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

/** A refusal that is trouble of this side is thrown with its cause, so that it is reported. */
function replyOf({ reply, trouble }: Told): Reply {
  if (trouble !== null) throw new SmtpError(reply, { cause: trouble })
  return reply
}

function verdictOf(replies: readonly Reply[]): Reply {
  return replies.find(({ positive }) => !positive) ?? replies[0]!
}
