// What happens between a relay and its upstreams, for logs and metrics. Costs nothing without subscribers.

import { channel, type Channel } from 'node:diagnostics_channel'
import type { SmtpClientError } from '../../client/client-error.ts'
import type { ReceivedReply } from '../../protocol/replies/received-reply.ts'
import type { Session } from '../../smtp/session.ts'

/** `mailhandler:upstream`: an upstream has answered, or has failed to. */
export interface UpstreamEvent {
  /** The session for which it was asked; null if it was for none, such as a probe. */
  readonly session: Session | null
  /** The server, as `'mx.example:25'` or the path of its socket. */
  readonly upstream: string
  /**
   * `'open'`: a connection was opened, or could not be; `'MAIL'`, `'RCPT'` (with MAIL, if it is the first), `'DATA'`,
   * `'end'`: what was answered to the client's command or message; `'verify'`: to a question of `verifyRecipients()`.
   */
  readonly step: 'open' | 'MAIL' | 'RCPT' | 'DATA' | 'end' | 'verify'
  /** What it answered; null if there is no answer. Its text is the upstream's: escape it before it is shown. */
  readonly reply: ReceivedReply | null
  /** Why there is no answer; null if there is one. */
  readonly error: SmtpClientError | null
  /** Milliseconds that it took. */
  readonly milliseconds: number
}

/** The channel `mailhandler:upstream`. */
export const upstreamChannel: Channel<unknown, UpstreamEvent> = channel('mailhandler:upstream') as Channel<
  unknown,
  UpstreamEvent
>
