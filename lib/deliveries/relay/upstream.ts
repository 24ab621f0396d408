// An upstream and the connections to it.

import type { SmtpClientError } from '../../client/client-error.ts'
import type { SmtpClient } from '../../client/smtp-client.ts'
import type { ServerOffer } from '../../protocol/replies/server-offer.ts'
import type { Session } from '../../smtp/session.ts'
import { proxyHeaderOf, xclientOf } from './client-info.ts'
import { upstreamChannel } from './diagnostics.ts'
import { openConnection, type Opened } from './open.ts'
import type { ResolvedServer, ResolvedUpstream } from './options.ts'

/** A connection that belongs to one transaction until it is given back. */
export interface Lease {
  readonly client: SmtpClient
  /** For logs. */
  readonly label: string
  /** True if it was used before: it may have been closed meanwhile. */
  readonly isUsed: boolean
  /** The transaction is over: the connection may be kept. */
  release(): void
  /** The connection is of no more use. */
  discard(): void
}

/** An upstream: one or several servers that take the same mail. */
export class Upstream {
  readonly options: ResolvedUpstream
  /** What it offered last; null before the first contact. */
  offer: ServerOffer | null = null

  constructor(options: ResolvedUpstream) {
    this.options = options
  }

  /** Resolves with a connection for a client. Rejects with a SmtpClientError, or a SmtpError if there is none free. */
  async acquire(session: Session, signal: AbortSignal): Promise<Lease> {
    const opened = await this.#open(session, signal)
    return this.#lease(opened)
  }

  async #open(session: Session, signal: AbortSignal): Promise<Opened> {
    const { clientInfo, servers, clock } = this.options
    const begun = clock.now()
    const note = (server: ResolvedServer, error: SmtpClientError | null): void => {
      if (!upstreamChannel.hasSubscribers) return
      const milliseconds = clock.now() - begun
      upstreamChannel.publish({
        session,
        upstream: server.label,
        step: 'open',
        reply: error?.reply ?? null,
        error,
        milliseconds,
      })
    }
    const version = clientInfo === 'proxy-v1' ? 1 : clientInfo === 'proxy-v2' ? 2 : null
    const proxy = version === null ? null : proxyHeaderOf(session, version)
    const opened = await openConnection(this.options, { servers, proxy, signal, note })
    this.offer = opened.client.offer
    try {
      await this.#introduce(opened.client, session)
    } catch (error) {
      opened.client.destroy()
      throw error
    }
    return opened
  }

  /** Tells the upstream by XCLIENT whom this is for. */
  async #introduce(client: SmtpClient, session: Session): Promise<void> {
    const { clientInfo } = this.options
    const isOffered = client.offer?.extensions.has('XCLIENT') === true
    if (clientInfo === 'xclient' || (clientInfo === 'auto' && isOffered)) await client.xclient(xclientOf(session))
  }

  #lease({ client, server }: Opened): Lease {
    return {
      client,
      label: server.label,
      isUsed: false,
      release: () => void client.quit().catch(() => {}),
      discard: () => void client.destroy(),
    }
  }
}
