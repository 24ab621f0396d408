// Whether messages can be delivered, for /readyz: tried when it is asked, at most every few seconds, and logged when it
// changes.

import { probeMaildir } from '../deliveries/probe-maildir.ts'
import { systemClock, within, type Clock } from '../time/clock.ts'
import { printable } from '../words/printable.ts'
import type { Logger } from './log/logger.ts'

/** Milliseconds that an answer is used again. */
const FRESH = 5000
/** Milliseconds; a network file system that hangs is not ready. */
const PATIENCE = 2000

/** What {@link deliveryProbe} needs. */
export interface DeliveryProbeOptions {
  /** Returns the Maildir of the configuration at that time. */
  readonly maildir: () => string
  readonly log: () => Logger
  readonly clock?: Clock
  readonly probe?: (path: string) => Promise<void>
}

/** Makes a function that returns why the Maildir cannot be delivered to, or null. It never rejects. */
export function deliveryProbe(options: DeliveryProbeOptions): () => Promise<string | null> {
  const { maildir, log, clock = systemClock, probe = probeMaildir } = options
  let answer: Promise<string | null> | null = null
  let answeredAt = -Infinity
  let last: string | null = null

  async function tryDelivery(): Promise<string | null> {
    const path = maildir()
    try {
      await within(clock, PATIENCE, probe(path), () => new Error(`no answer within ${PATIENCE} ms`))
      if (last !== null) log().info({ maildir: path }, 'the Maildir can be delivered to again')
      last = null
    } catch (error) {
      const { code = 'no answer', message } = error as NodeJS.ErrnoException
      const why = `the Maildir cannot be delivered to (${code})`
      if (last !== why)
        log().error({ maildir: path, code, error: printable(message) }, 'the Maildir cannot be delivered to')
      last = why
    }
    return last
  }

  return () => {
    if (answer === null || clock.now() - answeredAt >= FRESH) {
      answeredAt = clock.now()
      answer = tryDelivery()
    }
    return answer
  }
}
