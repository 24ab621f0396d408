// Publishes why a delivery failed. A handler reports only errors that are not refusals; a refusal with a cause, such as a
// disk that is full, is trouble of this side all the same.

import type { Maildir } from '../deliveries/maildir.ts'
import { channels } from '../smtp/diagnostics.ts'
import type { Session } from '../smtp/session.ts'
import { SmtpError } from '../words/smtp-error.ts'

/** Wraps a delivery: a refusal that has a cause is also published as `mailhandler:error`. */
export function reportCauses(delivery: Maildir<Session>): Maildir<Session> {
  return {
    ...delivery,
    async onMessage(message, session) {
      try {
        return await delivery.onMessage(message, session)
      } catch (error) {
        if (error instanceof SmtpError && error.cause !== undefined) channels.error.publish({ session, error })
        throw error
      }
    },
  }
}
