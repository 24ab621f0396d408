// Messages of the command to the people who started it.

import { standardErrorLog } from '../../log/line-log.ts'

/** Writes lines to standard error. Never throws and never waits. */
export function tellPeople(text: string): void {
  for (const line of text.split('\n')) standardErrorLog().write(line)
}
