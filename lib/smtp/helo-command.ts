// HELO, EHLO and LHLO: the client says its name, and learns what it is offered. [RFC 5321 §4.1.1.1, RFC 2033 §4.1]

import { parseHelo } from '../protocol/addresses/domain.ts'
import type { Command } from '../protocol/commands/command.ts'
import { after, type Answer } from '../stream/handlers.ts'
import { Reply } from '../words/reply.ts'
import { badArgument } from './known-replies.ts'
import type { SmtpSession } from './smtp-session.ts'

/** Answers the command; `isExtended` for EHLO and LHLO. */
export function greet(session: SmtpSession, { verb, argument }: Command, isExtended: boolean): Answer {
  const { state } = session
  const helo = parseHelo(argument.trim(), { utf8: true, lenient: true })
  if (!helo.ok) return badArgument(`${verb} takes a domain name or an address literal`)
  return after(session.reset(), () => {
    state.helo = helo.name
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
