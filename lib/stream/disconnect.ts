// The last calls of a session: handleDisconnect and logResult, once each, however it ended.

import { report, type Reporter } from './answers.ts'
import { isPromise } from './handlers.ts'

/** Is told that its session has ended: a MailHandler. */
export interface Ending extends Reporter {
  handleDisconnect(): void | Promise<void>
  logResult(): void
}

/** Calls both methods, then `done`; reports what they throw. */
export function disconnect(handler: Ending, done: () => void): void {
  const conclude = () => {
    try {
      handler.logResult()
    } catch (error) {
      report(handler, error)
    }
    done()
  }
  const fail = (error: unknown) => {
    report(handler, error)
    conclude()
  }
  try {
    const disconnected = handler.handleDisconnect()
    if (!isPromise(disconnected)) return conclude()
    Promise.resolve(disconnected).then(conclude, fail)
  } catch (error) {
    fail(error)
  }
}
