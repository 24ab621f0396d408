// The arguments of MAIL and RCPT as a session takes them: the grammar, and what this session was offered.

import type { Strictness } from '../protocol/addresses/characters.ts'
import { NULL_MAILBOX, type Mailbox } from '../protocol/addresses/mailbox.ts'
import { parseForwardPath, parseReversePath, type ParsedPath } from '../protocol/addresses/path.ts'
import type { Extension, ParsedRows } from '../protocol/parameters/parameter-rows.ts'
import { parseMailParameters, type MailParameters } from '../protocol/parameters/mail-parameters.ts'
import { parseParameters } from '../protocol/parameters/parameters.ts'
import { parseRcptParameters } from '../protocol/parameters/rcpt-parameters.ts'
import { Reply } from '../words/reply.ts'
import { readCustom, type CustomParameters, type ParseParameter } from './custom-parameters.ts'
import type { Envelope, Recipient, Sender } from './envelope.ts'
import { HOLD_SECONDS } from './extensions.ts'
import { badArgument, badParameter, badParameters, badPath, NO_SMTPUTF8, TOO_LARGE } from './known-replies.ts'
import type { SessionOffer } from './offer.ts'
import type { ResolvedOptions } from './options.ts'

type Parse<T> = (
  given: ReadonlyMap<string, string | null>,
  offered: ReadonlySet<Extension>,
  strictness: Strictness,
) => ParsedRows<T>

const NO_PARAMETERS = Object.freeze({})

/** Reads the argument of MAIL; a Reply is its refusal. [RFC 5321 §4.1.1.2] */
export function parseSender(argument: string, options: ResolvedOptions, offer: SessionOffer): Sender | Reply {
  const path = parseReversePath(argument, { utf8: offer.extensions.has('SMTPUTF8'), strictness: options.strictness })
  if (!path.ok) return badPath('5.1.7', path.error)
  const parameters =
    path.parameters === ''
      ? NO_PARAMETERS
      : readParameters(path, parseMailParameters, offer.parameters.mail, options, offer)
  if (parameters instanceof Reply) return parameters
  const refused = refusal(path.mailbox, parameters, options, offer)
  if (refused !== null) return refused
  const { address, localPart, domain, literal, nonAscii } = path.mailbox // spread costs ten times as much
  return { address, localPart, domain, literal, nonAscii, parameters }
}

/** Reads the argument of RCPT; a Reply is its refusal. [RFC 5321 §4.1.1.3] */
export function parseRecipient(
  argument: string,
  options: ResolvedOptions,
  offer: SessionOffer,
  envelope: Envelope,
): Recipient | Reply {
  const utf8 = envelope.parameters.smtputf8 === true
  const path = parseForwardPath(argument, { utf8, strictness: options.strictness })
  if (!path.ok) return badPath('5.1.3', path.error)
  const parameters =
    path.parameters === ''
      ? NO_PARAMETERS
      : readParameters(path, parseRcptParameters, offer.parameters.rcpt, options, offer)
  if (parameters instanceof Reply) return parameters
  const { address, localPart, domain, literal, nonAscii } = path.mailbox
  return { address, localPart, domain, literal, nonAscii, parameters, trusted: null }
}

/** Call it only if there are parameters. */
function readParameters<T>(
  path: ParsedPath & { ok: true },
  parse: Parse<T>,
  parsers: ReadonlyMap<string, ParseParameter>,
  { strictness }: ResolvedOptions,
  offer: SessionOffer,
): (T & CustomParameters) | Reply {
  const { extensions } = offer
  const given = parseParameters(path.parameters, { utf8: extensions.has('SMTPUTF8'), strictness })
  if (!given.ok) return badParameters(given.error)
  const { custom, others } = readCustom(given.parameters, parsers)
  const parsed = parse(others, extensions as ReadonlySet<Extension>, strictness)
  if (!parsed.ok) return badParameter(parsed.error)
  return custom.size === 0 ? parsed.parameters : Object.freeze({ ...parsed.parameters, custom })
}

/** What this server, or this session, does not allow though its grammar is right. */
function refusal(
  mailbox: Mailbox,
  parameters: MailParameters,
  options: ResolvedOptions,
  offer: SessionOffer,
): Reply | null {
  if (mailbox !== NULL_MAILBOX && mailbox.nonAscii && parameters.smtputf8 !== true) return NO_SMTPUTF8 // [RFC 6531 §3.5]
  if (offer.size > 0 && (parameters.size ?? 0) > offer.size) return TOO_LARGE // [RFC 1870 §6.1]
  if ((parameters.holdFor ?? 0) > HOLD_SECONDS) return badArgument(`HOLDFOR takes at most ${HOLD_SECONDS}`)
  const until = parameters.holdUntil?.getTime() ?? 0
  // [RFC 4865 §4]
  if (until > 0 && until > options.clock.wallTime() + HOLD_SECONDS * 1000)
    return badArgument('HOLDUNTIL is too far away')
  return null
}
