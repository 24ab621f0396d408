// Asks an upstream whether it would take a recipient: MAIL, RCPT, and RSET with which its connection goes back.

import type { Mailbox } from '../../protocol/addresses/mailbox.ts'
import type { ReceivedReply } from '../../protocol/replies/received-reply.ts'
import { SmtpClientError } from '../../client/client-error.ts'
import type { SmtpClient } from '../../client/smtp-client.ts'
import { upstreamChannel } from './diagnostics.ts'
import { isLoss } from './relayed-replies.ts'
import type { Upstream } from './upstream.ts'

/** What is asked, and for whom. */
export interface RecipientQuestion {
  readonly recipient: Mailbox
  /** The reverse-path; empty for `<>`. */
  readonly sender: string
  /** The client's network, whose share of the connections it counts for. */
  readonly network: string | null
  readonly signal: AbortSignal
}

/** Resolves with the reply to RCPT. Rejects if MAIL is refused, or the upstream cannot be asked. */
export async function askRecipient(upstream: Upstream, question: RecipientQuestion): Promise<ReceivedReply> {
  const { network, signal } = question
  const { clock } = upstream.options
  const begun = clock.now()
  for (;;) {
    const lease = await upstream.acquireOwn(network, signal)
    const abort = (): void => lease.discard()
    signal.addEventListener('abort', abort, { once: true })
    try {
      const reply = await ask(lease.client, question)
      if (upstreamChannel.hasSubscribers) {
        const milliseconds = clock.now() - begun
        upstreamChannel.publish({
          session: null,
          upstream: lease.label,
          step: 'verify',
          reply,
          error: null,
          milliseconds,
        })
      }
      return reply
    } catch (error) {
      // One that was kept may have been closed any time; each such loss is one kept connection less.
      if (!lease.isUsed || !isLoss(error) || signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', abort)
      lease.release()
    }
  }
}

async function ask(client: SmtpClient, { recipient, sender }: RecipientQuestion): Promise<ReceivedReply> {
  const mail = client.mail(sender, recipient.nonAscii ? { smtputf8: true } : {})
  const rcpt = client.rcpt(recipient.address)
  const [toMail, toRcpt] = await Promise.all([mail, rcpt.catch((error: unknown) => error as Error)])
  if (toMail.code >= 400) {
    throw new SmtpClientError('ERR_REFUSED', `MAIL was refused with ${toMail.code}`, { step: 'MAIL', reply: toMail })
  }
  if (toRcpt instanceof Error) throw toRcpt
  if (client.failure !== null) throw client.failure
  return toRcpt
}
