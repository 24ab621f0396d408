// Reads the arguments of MAIL and RCPT, and tells the log, once a session, what a laxer `strictness` would have accepted.

import type { Strictness } from '../protocol/addresses/characters.ts'
import type { Command } from '../protocol/commands/command.ts'
import { Reply } from '../words/reply.ts'
import { channels } from './diagnostics.ts'
import type { Envelope, Recipient, Sender } from './envelope.ts'
import type { SessionOffer } from './offer.ts'
import type { ResolvedOptions } from './options.ts'
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

/** Reads the argument of MAIL; a Reply is its refusal. */
export function readSender(session: SmtpSession, command: Command): Sender | Reply {
  return readNoted(session, command, (options, offer) => parseSender(command.argument, options, offer))
}

/** Reads the argument of RCPT; a Reply is its refusal. */
export function readRecipient(session: SmtpSession, command: Command, envelope: Envelope): Recipient | Reply {
  return readNoted(session, command, (options, offer) => parseRecipient(command.argument, options, offer, envelope))
}

type Read<T> = (options: ResolvedOptions, offer: SessionOffer) => T | Reply

/** Reads a command as the session does; if it is refused, {@link noteLeniency}. */
function readNoted<T>(session: SmtpSession, command: Command, read: Read<T>): T | Reply {
  const { options, offer } = session
  const result = read(options, offer)
  if (result instanceof Reply) {
    noteLeniency(session, command, strictness => {
      return !(read({ ...options, strictness }, withoutParsers(offer)) instanceof Reply)
    })
  }
  return result
}

/** The program's own parsers are not called again. */
function withoutParsers(offer: SessionOffer): SessionOffer {
  const { mail, rcpt, keywords } = offer.parameters
  const mute = <T>(parsers: ReadonlyMap<string, T>) => new Map([...parsers.keys()].map(key => [key, () => undefined]))
  return { ...offer, parameters: { mail: mute(mail), rcpt: mute(rcpt), keywords } }
}
