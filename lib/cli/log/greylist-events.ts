// What greylisting and suspicion decide → log lines.

import { storeFailureChannel, type StoreFailureEvent } from '../../policies/diagnostics.ts'
import type { RecipientDecision } from '../../policies/greylist/decisions.ts'
import { greylistChannel, type GreylistEvent } from '../../policies/greylist/diagnostics.ts'
import { suspicionKey } from '../../policies/suspicion/verdict.ts'
import type { Session } from '../../smtp/session.ts'
import { printable } from '../../words/printable.ts'
import { subscribe, type Unsubscribe } from '../subscriptions.ts'
import type { Logger } from './logger.ts'

/** Recipients of a decision that are named. */
const RECIPIENTS = 20

/**
 * Writes a line for each decision about a client that is not left alone, and for the first failure of a store in a session.
 * Of decisions without an answer of the store, the first of a session is for the log, the others for debugging.
 */
export function logGreylisting(log: () => Logger): Unsubscribe[] {
  const failed = new WeakSet<Session>()
  const undecided = new WeakSet<Session>()
  const logFailure = (session: Session, policy: string, error: Error): void => {
    if (failed.has(session)) return
    failed.add(session)
    log().warn({ session: session.id, policy, error: printable(error.message) }, 'the store has failed')
  }
  return [
    subscribe(greylistChannel, (event: GreylistEvent) => {
      const { session, envelope } = event
      if (event.event === 'failed') return logFailure(session, 'greylist', event.error)
      const { at, observed, clients, allowedBy, decisions } = event
      const line = {
        session: session.id,
        message: envelope.id,
        client: session.client.address,
        at,
        observed,
        ...(clients.length === 0 ? {} : { clients: clients.map(client => printable(client)) }),
        ...(allowedBy === null ? {} : { allowedBy: printable(allowedBy) }),
        ...signs(session),
        sender: printable(envelope.sender.address),
        decisions: decisions.slice(0, RECIPIENTS).map(shown),
        ...(decisions.length > RECIPIENTS ? { recipientCount: decisions.length } : {}),
      }
      const isExempt = decisions.every(({ verdict }) => verdict === 'exempt')
      // Without an answer of the store a client gets as many of these as it can send RCPTs.
      const isUndecided = decisions.every(({ verdict }) => verdict === 'failed')
      const isForDebugging = isExempt || (isUndecided && undecided.has(session))
      if (isUndecided) undecided.add(session)
      log()[isForDebugging ? 'debug' : 'info'](line, 'greylist')
    }),
    subscribe(storeFailureChannel, ({ session, policy, error }: StoreFailureEvent) =>
      logFailure(session, policy, error),
    ),
  ]
}

function shown({ recipient, reason, ...decision }: RecipientDecision): object {
  return { recipient: printable(recipient), reason: reason === null ? null : printable(reason), ...decision }
}

function signs({ notes }: Session): object {
  const suspicion = notes.get(suspicionKey)
  if (suspicion === undefined) return {}
  return { score: suspicion.score, signs: suspicion.signs.map(({ sign }) => sign) }
}
