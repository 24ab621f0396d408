// Whether messages can be delivered, for /readyz: tried when it is asked, at most every few seconds, and logged when it
// changes.

import { systemClock, within, type Clock } from '../time/clock.ts'
import { printable } from '../words/printable.ts'
import type { Destination } from './destination.ts'
import type { Logger } from './log/logger.ts'

/** Milliseconds that an answer is used again. */
const FRESH = 5000
/** Milliseconds; a network file system that hangs is not ready. */
const PATIENCE = 2000

/** What {@link deliveryProbe} needs. */
export interface DeliveryProbeOptions {
  /** Returns where messages go at that time. */
  readonly destination: () => Pick<Destination, 'kind' | 'fields' | 'probe'>
  readonly log: () => Logger
  readonly clock?: Clock
}

/** Makes a function that returns why messages cannot be delivered, or null. It never rejects. */
export function deliveryProbe(options: DeliveryProbeOptions): () => Promise<string | null> {
  const { destination, log, clock = systemClock } = options
  let answer: Promise<string | null> | null = null
  let answeredAt = -Infinity
  let last: string | null = null

  async function tryDelivery(): Promise<string | null> {
    const { kind, fields, probe } = destination()
    try {
      await within(clock, PATIENCE, probe(), () => new Error(`no answer within ${PATIENCE} ms`))
      if (last !== null) log().info(fields, `${kind} can be delivered to again`)
      last = null
    } catch (error) {
      const { code = 'no answer', message } = error as NodeJS.ErrnoException
      const why = `${kind} cannot be delivered to`
      if (last !== `${why} (${code})`) log().error({ ...fields, code, error: printable(message) }, why)
      last = `${why} (${code})`
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
