// The time of a handler that keeps none of its own: any but an SmtpHandler, whose session has a deadline for each step.

import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { controls, MailHandler } from '../stream/mail-handler.ts'
import type { Clock } from '../time/clock.ts'
import { Deadline } from '../time/deadline.ts'

/** How long a client may be silent, and how long it may take to close after the last reply, in milliseconds. */
export interface HandlerTimes {
  readonly idle: number
  readonly linger: number
}

/** What a client has taken too long for. */
type Expired = keyof HandlerTimes

/**
 * Watches a handler that has been joined to a socket, until the socket is closed. `expire` is called when the client has
 * been silent, or has not closed, for too long; the time that the handler takes is not counted.
 */
export function watchTime(
  handler: Duplex,
  socket: Socket,
  clock: Clock,
  times: HandlerTimes,
  expire: (limit: Expired) => void,
): void {
  let limit: Expired = 'idle'
  const startAgain = () => deadline.set(limit, clock.now() + times[limit])
  const deadline = new Deadline<Expired>(clock, expired => {
    if (expired === 'idle' && isBusy(handler)) startAgain()
    else expire(expired)
  })
  const noteOctets = () => {
    if (limit === 'idle') startAgain()
  }
  startAgain()
  socket.on('data', noteOctets)
  handler.on('data', noteOctets)
  handler.once('end', () => {
    limit = 'linger'
    startAgain()
  })
  socket.once('close', () => deadline.stop())
}

/** True while the client waits for this side. */
function isBusy(handler: Duplex): boolean {
  const waiting = handler instanceof MailHandler ? controls.waiting(handler) : null
  return waiting === 'answer' || waiting === 'consumer'
}
