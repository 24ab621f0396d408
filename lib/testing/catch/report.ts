// What a wait that fails says: what was expected, what did arrive, and who said what.

import { printable } from '../../words/printable.ts'
import { showTurns, type Turn } from '../transcript-log.ts'
import type { CaughtMail } from './caught-mail.ts'
import { misfits, type MailFilter } from './mail-filter.ts'
import type { SessionRecord } from './session-record.ts'

const MAILS = 20
const SESSIONS = 3
/** Of each turn: enough for a header, and for the replies to EHLO. */
const TURN_OCTETS = 1000

/** The text below the first line of the error. `filter` is null if no message was wanted. */
export function reportOf(
  mails: readonly CaughtMail[],
  sessions: readonly SessionRecord[],
  filter: MailFilter | null,
): string {
  return `${mailsOf(mails, filter)}\n\n${sessionsOf(sessions)}`
}

function mailsOf(mails: readonly CaughtMail[], filter: MailFilter | null): string {
  if (mails.length === 0) return 'No message has arrived.'
  const last = mails.slice(-MAILS)
  const lines = last.map((mail, i) => {
    const { envelope, subject } = mail
    const problem = mail.problem === null ? '' : `, which could not be parsed (${mail.problem})`
    const why = filter === null ? '' : whyNot(mail, filter)
    const who = `from <${envelope.from}> to ${envelope.to.map(to => `<${to}>`).join(', ')}`
    return printable(
      `  ${mails.length - last.length + i + 1}. ${who}, subject ${JSON.stringify(subject)}${problem}${why}`,
      500,
    )
  })
  return `${mails.length} ${mails.length === 1 ? 'message has' : 'messages have'} arrived:\n${lines.join('\n')}`
}

function whyNot(mail: CaughtMail, filter: MailFilter): string {
  let differs: readonly string[]
  try {
    differs = misfits(mail, filter)
  } catch (error) {
    return `: the function throws ${String(error)}` // for a message that an earlier waitFor() had, and it was not asked of
  }
  if (differs.length === 0) return ': an earlier waitFor() had it'
  const shown = differs.map(name => (name === 'text' || name === 'html' ? `${name} (${begin(mail[name])})` : name))
  return `: not ${shown.join(', ')}`
}

/** The other conditions are for what the line of a message shows. */
function begin(text: string | null): string {
  if (text === null) return 'there is none'
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}

function sessionsOf(sessions: readonly SessionRecord[]): string {
  if (sessions.length === 0) return 'No client has connected.'
  const last = sessions.slice(-SESSIONS)
  const texts = last.map((session, i) => {
    const end = session.ending === null ? 'goes on' : `has ended (${session.ending})`
    const dialogue = showTurns(session.turns('stars').map(abridge), session.dropped)
    return `Session ${sessions.length - last.length + i + 1} of ${session.address} ${end}:\n${dialogue}`
  })
  return texts.join('\n\n')
}

function abridge(turn: Turn): Turn {
  const cut = turn.octets.length - TURN_OCTETS
  return cut <= 0 ? turn : { ...turn, octets: turn.octets.subarray(0, TURN_OCTETS), more: turn.more + cut }
}
