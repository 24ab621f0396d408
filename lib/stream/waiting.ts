// What a session waits for: what its time is measured by.

import type { Dialogue } from './dialogue.ts'
import type { Waiting } from './handlers.ts'
import type { Incoming } from './incoming.ts'
import type { LineCutter } from './line-cutter.ts'
import type { Methods } from './methods.ts'

/** What a session waits for, once its loop has stopped. A share of the process's time is waited for as an answer is. */
export function waitingFor<Handler extends Methods>(
  { state, prompt }: Dialogue<Handler>,
  { arriving }: Incoming<Handler>,
  cutter: LineCutter,
  isWaitingForShare: boolean,
): Waiting {
  if (state === 'closed') return 'end'
  if (isWaitingForShare) return 'answer'
  if (arriving !== null) return arriving.isReady ? 'data' : 'consumer'
  if (prompt !== null || (state !== 'busy' && cutter.unfinished)) return 'line'
  return state === 'busy' ? 'answer' : 'command'
}
