// X-Greylist: what greylisting made of a message, for its header.

import type { Session } from '../../smtp/session.ts'
import { greylistKey, type RecipientDecision } from './decisions.ts'

/**
 * The field X-Greylist of a message, for the option `header` of `maildir()` or for `prependHeader()`: `delayed 312 seconds`,
 * `passed, known client` … It names no recipient. No field if greylisting was not asked.
 */
export function greylistFields(session: Session): readonly (readonly [name: string, value: string])[] {
  const note = session.envelope?.notes.get(greylistKey)
  const made = note?.decisions ?? []
  const [first] = made
  if (first === undefined) return []
  const waiting = made.filter(({ waits }) => waits)
  const delayed = made.filter(({ verdict }) => verdict === 'pass')
  const longest = Math.max(0, ...[...delayed, ...waiting].map(({ age }) => Math.round(age / 1000)))
  if (waiting.length > 0) return [['X-Greylist', note?.observed === true ? 'would have waited' : 'waits']]
  return [['X-Greylist', delayed.length > 0 ? `delayed ${longest} seconds` : `passed, ${whyPassed(first)}`]]
}

function whyPassed({ verdict, reason }: RecipientDecision): string {
  if (verdict === 'known') return 'known sender'
  if (verdict === 'allowed') return 'known client'
  return verdict === 'exempt' ? reason! : 'not checked'
}
