// Files of lists that were read again, and DNS lists that do not answer → log lines.

import { printable } from '../../words/printable.ts'
import { listChannel, type ListEvent } from '../lists.ts'
import { subscribe, type Unsubscribe } from '../subscriptions.ts'
import { zoneChannel, type ZoneEvent } from '../zones.ts'
import type { Logger } from './logger.ts'

/** Writes a line for each file of a list that was read again, or could not be. */
export function logLists(log: () => Logger): Unsubscribe {
  return subscribe(listChannel, ({ file, problem }: ListEvent) => {
    if (problem === null) log().info({ file: printable(file) }, 'list read again')
    else log().error({ problem: printable(problem.message) }, 'list not read: the one before stays')
  })
}

/** Writes a line when a DNS list is left out, and when it answers again. */
export function logZones(log: () => Logger): Unsubscribe {
  return subscribe(zoneChannel, ({ zone, leftOut }: ZoneEvent) => {
    if (leftOut) log().warn({ zone: printable(zone) }, 'this DNS list does not answer: left out for a minute')
    else log().info({ zone: printable(zone) }, 'this DNS list answers again')
  })
}
