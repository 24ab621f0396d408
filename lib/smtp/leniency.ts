// Tells the log, once a session, that a refused command is one that a laxer `strictness` accepts.

import type { Strictness } from '../protocol/addresses/characters.ts'
import type { Command } from '../protocol/commands/command.ts'
import { Reply } from '../words/reply.ts'
import { channels } from './diagnostics.ts'
import type { Envelope } from './envelope.ts'
import type { SessionOffer } from './offer.ts'
import { parseRecipient, parseSender } from './path-arguments.ts'
import type { SmtpSession } from './smtp-session.ts'

const LAXER: Readonly<Record<Strictness, readonly Exclude<Strictness, 'strict'>[]>> = {
  strict: ['interoperable', 'lenient'],
  interoperable: ['lenient'],
  lenient: [],
}

/**
 * Publishes on `mailhandler:notice`, once a session, that a command was refused which a laxer mode accepts; `accepts`
 * reads the command in that mode, and changes nothing. Costs nothing while nobody listens.
 */
export function noteLeniency(
  session: SmtpSession,
  { verb, argument }: Command,
  accepts: (mode: Strictness) => boolean,
): void {
  if (session.isLeniencyNoted || !channels.notice.hasSubscribers) return
  const acceptedBy = LAXER[session.options.strictness].find(accepts)
  if (acceptedBy === undefined) return
  session.isLeniencyNoted = true
  channels.notice.publish({ session: session.state.view, verb, argument, acceptedBy })
}

/** Notes that MAIL was refused, if a laxer mode accepts it; returns the refusal. */
export function refuseSender(session: SmtpSession, command: Command, refusal: Reply): Reply {
  const { options } = session
  noteLeniency(session, command, strictness => {
    const offer = offerIn(strictness, session)
    return !(parseSender(command.argument, { ...options, strictness }, offer) instanceof Reply)
  })
  return refusal
}

/** Notes that RCPT was refused, if a laxer mode accepts it; returns the refusal. */
export function refuseRecipient(session: SmtpSession, command: Command, refusal: Reply, envelope: Envelope): Reply {
  const { options } = session
  noteLeniency(session, command, strictness => {
    const laxer = { ...options, strictness }
    return !(parseRecipient(command.argument, laxer, offerIn(strictness, session), envelope) instanceof Reply)
  })
  return refusal
}

/** What the session would accept in this mode. The program's own parsers are not called again. */
function offerIn(strictness: Strictness, session: SmtpSession): SessionOffer {
  const offer = strictness === 'lenient' ? session.fullOffer : session.offer
  const { mail, rcpt, keywords } = offer.parameters
  const mute = <T>(parsers: ReadonlyMap<string, T>) => new Map([...parsers.keys()].map(key => [key, () => undefined]))
  return { ...offer, parameters: { mail: mute(mail), rcpt: mute(rcpt), keywords } }
}
