// HELO, EHLO and LHLO: the client says its name, and learns what it is offered. [RFC 5321 §4.1.1.1, RFC 2033 §4.1]

import { parseHelo } from '../protocol/addresses/domain.ts'
import type { Strictness } from '../protocol/addresses/characters.ts'
import { COMMANDS } from '../protocol/commands/command-table.ts'
import { parseCommand, type Command } from '../protocol/commands/command.ts'
import { after, type Answer } from '../stream/handlers.ts'
import { Reply } from '../words/reply.ts'
import { hasCommand } from './command-checks.ts'
import { badArgument } from './known-replies.ts'
import { noteLeniency } from './leniency.ts'
import type { SmtpSession } from './smtp-session.ts'

/** Any name in printable text, since many clients give an invalid one. [RFC 5321 §4.1.4] */
const ANY_NAME = { utf8: true, strictness: 'lenient' } as const

const C1 = /[\x80-\x9f\u2028\u2029]/g
/** Characters of a name of several words. */
const NAME_LENGTH = 255
/** What Windows-1252 has in the place of C1 controls; five of them are none. Node's TextDecoder reads them as controls. */
const WINDOWS = '€?‚ƒ„…†‡ˆ‰Š‹Œ?Ž??‘’“”•–—˜™š›œ?žŸ'

/** Answers the command; `isExtended` for EHLO and LHLO. */
export function greet(session: SmtpSession, command: Command, isExtended: boolean): Answer {
  const { state } = session
  const name = readName(command, session.options.strictness)
  if (name === null) return refuseName(session, command, mode => readName(command, mode) !== null)
  return after(session.reset(), () => {
    state.helo = name
    return after(session.hooks.ask('onHelo', state.view), answer => {
      state.isExtended = isExtended
      const greeting = answer?.positive === false ? answer : session.greet()
      if (greeting instanceof Reply) {
        session.time.startGreetingTimer()
        state.helo = null
        state.phase = 'connected'
        return greeting
      }
      state.phase = 'greeted'
      return isExtended ? greeting.reply : (answer ?? session.options.heloReply)
    })
  })
}

/** The name, `''` if there is none and that is accepted; null if it is refused. */
function readName({ argument }: Command, strictness: Strictness): string | null {
  const text = argument.trim()
  const helo = parseHelo(text, ANY_NAME)
  if (helo.ok) return helo.name
  if (strictness !== 'lenient') return null
  if (text === '') return ''
  const words = text.replaceAll(C1, '?').split(/[ \t]+/)
  return words.every(word => parseHelo(word, ANY_NAME).ok) && text.length <= NAME_LENGTH ? words.join(' ') : null
}

function refuseName(session: SmtpSession, command: Command, accepts: (mode: Strictness) => boolean): Reply {
  noteLeniency(session, command, accepts)
  return badArgument(`${command.verb} takes a domain name or an address literal`)
}

const GREETINGS: ReadonlySet<string> = new Set(['HELO', 'EHLO', 'LHLO'])

/** HELO, EHLO or LHLO in a line that is not UTF-8, read as Latin-1 with the letters of Windows; null for any other line. */
export function greetingInLatin1(octets: string, session: SmtpSession): Command | null {
  const command = parseCommand(
    octets.replace(/\r*\n$/, '').replaceAll(/[\x80-\x9f]/g, octet => WINDOWS[octet.charCodeAt(0) - 0x80]!),
  )
  return GREETINGS.has(command.verb) && hasCommand(session, COMMANDS.get(command.verb)!) ? command : null
}

/** Refuses what {@link greetingInLatin1} returns. */
export function refuseLatin1(session: SmtpSession, command: Command): Reply {
  return refuseName(session, command, mode => mode === 'lenient' && readName(command, mode) !== null)
}
