// webhook(): sends each message as the body of a POST, while its sender waits.
//
//   mail data ─ onMessage ─→ POST: envelope, message, digest ─→ status ─→ verdict
//
// A message that was cut short, or whose verdict nobody waits for, is a request without an end.

import { headerFields } from '../../protocol/header/header-field.ts'
import type { Recipient } from '../../smtp/envelope.ts'
import type { Delivery } from '../../smtp/hooks.ts'
import type { Message } from '../../smtp/message.ts'
import type { SessionInTransaction } from '../../smtp/session.ts'
import { MailHandlerError } from '../../words/errors.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import { Digester } from './digest.ts'
import { envelopeJson } from './envelope.ts'
import { FORMS } from './forms.ts'
import { resolveWebhook, type ResolvedWebhook, type WebhookOptions } from './options.ts'
import { isPositive, Post } from './post.ts'
import { probeWebhook } from './probe-webhook.ts'

/** A delivery to a service over HTTP; made by {@link webhook}. */
export interface Webhook extends Delivery {
  /** `'webhook'` */
  readonly name: string
  /** The url without its query, for logs. */
  readonly place: string
  /** With `form: 'raw'`: defers a recipient with whom the envelope would be too long for a header of HTTP. */
  onRcptTo(recipient: Recipient, session: SessionInTransaction): Reply | void
  /** Sends the message. Throws an SmtpError, whose cause says what went wrong with the service. */
  onMessage(message: Message, session: SessionInTransaction): Promise<Reply>
  /** Connects to the service, and sends nothing. Rejects with the error of the connection. */
  probe(): Promise<void>
}

const TAKEN: Reply = reply(250, '2.0.0', 'Delivered')
const TOO_LARGE: Reply = reply(552, '5.3.4', 'The message is too large')
const NOT_ACCEPTED: Reply = reply(554, '5.6.0', 'The message is not accepted here')
const NO_ANSWER: Reply = reply(451, '4.4.1', 'The message cannot be delivered now, please try again later')
const LOST: Reply = reply(451, '4.4.2', 'The message cannot be delivered now, please try again later')
const REFUSED: Reply = reply(451, '4.3.0', 'The message cannot be delivered now, please try again later')
const TOO_MANY: Reply = reply(452, '4.5.3', 'Send this recipient in another transaction')

/** Octets of an envelope in a header: servers allow 8 KiB a header, Node 16 KiB for all. */
const MOST_ENVELOPE = 6000
const TOO_LARGE_STATUS = 413
const UNPROCESSABLE_STATUS = 422

/**
 * Delivers to a service over HTTP: each message is streamed as the body of a POST, and the sender gets 250 only after
 * the service has answered 2xx to all of it. 413 is 552 and 422 is 554; everything else is 451, so that a wrong secret or
 * a bad deploy refuses no mail: the sender tries again. Redirects are not followed, and nothing is sent twice.
 *
 * ```ts
 * new SmtpHandler({ delivery: webhook({ url: 'https://app.example/mail', secret }) })
 * ```
 *
 * @throws {MailHandlerError} `ERR_OPTION` if an option is wrong.
 */
export function webhook(options: WebhookOptions): Webhook {
  const resolved = resolveWebhook(options)
  const { url, form, clock } = resolved
  return {
    name: 'webhook',
    place: `${url.origin}${url.pathname}`,
    onRcptTo(recipient, session) {
      if (form !== 'raw' || session.envelope.recipients.length === 0) return
      if (envelopeJson(session, clock.wallTime(), recipient).length > MOST_ENVELOPE) return TOO_MANY
    },
    onMessage: (message, session) => send(resolved, message, session),
    probe: () => probeWebhook(resolved),
  }
}

async function send(webhook: ResolvedWebhook, message: Message, session: SessionInTransaction): Promise<Reply> {
  const { envelope } = session
  const json = envelopeJson(session, webhook.clock.wallTime())
  const fields = webhook.header === null ? null : Buffer.from(headerFields(webhook.header(session)))
  const form = FORMS[webhook.form](json)
  const digester = new Digester(envelope, json, webhook.secret)
  const post = new Post(webhook, { 'user-agent': 'mailhandler', ...webhook.headers, ...form.headers })
  const stopReading = (): void => void message.destroy()
  post.outcome.then(stopReading, stopReading)
  const cut = (): void => {
    // What has ended may have been taken: its answer is awaited, and the key tells the retry.
    if (!post.hasEnded) post.fail('ERR_SESSION_ENDED', 'nobody waits for the verdict any more')
  }
  envelope.signal.addEventListener('abort', cut, { once: true })
  try {
    if (form.head !== null) await post.write(form.head)
    if (fields !== null) {
      digester.addField(fields)
      await post.write(fields)
    }
    for await (const piece of message) {
      const octets = piece as Buffer
      digester.add(octets)
      await post.write(octets)
    }
    const { tail, trailers } = form.end(digester.end())
    post.end(tail, trailers)
  } catch (error) {
    if (!post.isOver) {
      post.fail('ERR_ABORTED', 'the message has no end')
      throw error
    }
  }
  try {
    return verdictOf(await post.outcome)
  } catch (error) {
    throw refusalOf(error, post.isConnected)
  }
}

/** Returns what the sender is told for a status. Throws for one that says nothing about the message. */
function verdictOf(status: number): Reply {
  if (isPositive(status)) return TAKEN
  if (status === TOO_LARGE_STATUS) return TOO_LARGE
  if (status === UNPROCESSABLE_STATUS) return NOT_ACCEPTED
  const note = status >= 300 && status < 400 ? ': redirects are not followed' : ''
  throw new MailHandlerError('ERR_REFUSED', `the webhook answered ${status}${note}`)
}

function refusalOf(cause: unknown, wasConnected: boolean): SmtpError {
  const { code } = cause as MailHandlerError
  const lost = wasConnected ? LOST : NO_ANSWER
  const told = code === 'ERR_TIMEOUT' ? NO_ANSWER : code === 'ERR_CONNECTION_LOST' ? lost : REFUSED
  return new SmtpError(told, { cause })
}
