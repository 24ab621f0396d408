// Files of lists that were read again → log lines.

import { printable } from '../../words/printable.ts'
import { listChannel, type ListEvent } from '../lists.ts'
import { subscribe, type Unsubscribe } from '../subscriptions.ts'
import type { Logger } from './logger.ts'

/** Writes a line for each file of a list that was read again, or could not be. */
export function logLists(log: () => Logger): Unsubscribe {
  return subscribe(listChannel, ({ file, problem }: ListEvent) => {
    if (problem === null) log().info({ file: printable(file) }, 'list read again')
    else log().error({ problem: printable(problem.message) }, 'list not read: the one before stays')
  })
}
