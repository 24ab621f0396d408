// Makes a transcript of a session that was caught, for playTranscript.

import { MailHandlerError } from '../../words/errors.ts'
import { linesOf, showTurns, type Turn } from '../transcript-log.ts'
import type { CaughtSession } from './caught-session.ts'
import type { SessionRecord } from './session-record.ts'

/** How a session is recorded. */
export interface RecordOptions {
  /** Writes the transcript to this file too. @defaultValue none */
  readonly file?: string | URL
  /**
   * What the transcript expects of the server that it is played to: `'codes'`, the reply codes; `'lines'`, the replies
   * word by word, as the server of the test has said them. @defaultValue `'codes'`
   */
  readonly replies?: 'codes' | 'lines'
  /** The session. @defaultValue the last one */
  readonly session?: CaughtSession
}

/** Throws `ERR_TRANSCRIPT` if a part of the session was not kept. */
export function recordOf(session: SessionRecord, replies: 'codes' | 'lines'): string {
  const turns = session.turns('playable')
  if (session.dropped > 0 || turns.some(({ more }) => more > 0)) {
    throw new MailHandlerError('ERR_TRANSCRIPT', 'the session is too long to be recorded')
  }
  const { rest, wasSecure } = withoutStartTls(turns)
  const shown = rest.map(turn => (turn.side === 'C' || replies === 'lines' ? turn : codesOf(turn)))
  const lines = ['# A session of a client, recorded by mailhandler.']
  if (wasSecure) lines.push('# It was over TLS; it is played in clear.')
  lines.push(showTurns(shown))
  if (session.ending === 'quit') lines.push('S: <closes>')
  return `${lines.join('\n')}\n`
}

/** Each reply by its code alone. */
function codesOf(turn: Turn): Turn {
  const last = linesOf(turn.octets).filter(line => line.length > 3 && line[3] !== 0x2d)
  return { ...turn, octets: Buffer.concat(last.flatMap(line => [line.subarray(0, 3), Buffer.from('\r\n')])) }
}

/** In memory there is no TLS: what came before it, but for the greeting, is left out. The session began again after it. */
function withoutStartTls(turns: readonly Turn[]): { rest: readonly Turn[]; wasSecure: boolean } {
  const at = turns.findIndex(({ side, octets }) => side === 'C' && /^starttls\r?\n$/i.test(octets.toString('latin1')))
  const accepted = turns[at + 1]?.octets.toString('latin1').startsWith('220') === true
  if (at < 0 || !accepted) return { rest: turns, wasSecure: false }
  return { rest: [...turns.slice(0, 1), ...turns.slice(at + 2)], wasSecure: true }
}
