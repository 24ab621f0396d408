// The parameters of MAIL and RCPT that an upstream gets: those of the client, as far as it offers them.

import type { MailParameters } from '../../protocol/parameters/mail-parameters.ts'
import type { RcptParameters } from '../../protocol/parameters/rcpt-parameters.ts'
import type { ServerOffer } from '../../protocol/replies/server-offer.ts'
import type { Recipient, Sender } from '../../smtp/envelope.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { SmtpError } from '../../words/smtp-error.ts'

const NO_SMTPUTF8: Reply = reply(553, '5.6.7', 'The next mail server does not take internationalized mail')
const NO_8BIT: Reply = reply(554, '5.6.3', 'The next mail server takes 7-bit mail only')
/** EHLO offered it, but the upstream offers it no longer: the next EHLO says so. */
const NO_LONGER_OFFERED: Reply = reply(451, '4.3.5', 'An extension is no longer offered, please try again')

/** What may be left out: it asks for nothing that the client could not do without. */
const OPTIONAL = {
  SIZE: ['size'],
  AUTH: ['auth'], // [RFC 4954 §5]
  DSN: ['ret', 'envid'],
  'MT-PRIORITY': ['mtPriority'], // [RFC 6710 §5.3]
} as const satisfies Record<string, readonly (keyof MailParameters)[]>

/** What must not be left out. */
const NEEDED = {
  REQUIRETLS: ['requiretls'], // [RFC 8689 §4.2.1]
  DELIVERBY: ['deliverBy'],
  FUTURERELEASE: ['holdFor', 'holdUntil'],
} as const satisfies Record<string, readonly (keyof MailParameters)[]>

/**
 * The parameters of MAIL. `isTrusted`: the client has authenticated, so what it says of the submitter is passed on.
 *
 * @throws {SmtpError} if the upstream cannot take such a message.
 */
export function mailParameters(
  { parameters }: Sender,
  { extensions }: ServerOffer,
  { eightBit, isTrusted }: { readonly eightBit: 'send' | 'refuse'; readonly isTrusted: boolean },
): MailParameters {
  const { custom: _, ...passed } = parameters as typeof parameters & Record<string, unknown>
  const left: Partial<Record<keyof MailParameters, unknown>> = passed
  for (const [name, fields] of Object.entries(OPTIONAL)) {
    if (!extensions.has(name)) for (const field of fields) delete left[field]
  }
  for (const [name, fields] of Object.entries(NEEDED)) {
    if (!extensions.has(name) && fields.some(field => left[field] !== undefined)) throw new SmtpError(NO_LONGER_OFFERED)
  }
  if (left.smtputf8 === true && !extensions.has('SMTPUTF8')) throw new SmtpError(NO_SMTPUTF8)
  if (left.body === 'BINARYMIME') {
    if (!extensions.has('BINARYMIME') || !extensions.has('CHUNKING')) throw new SmtpError(NO_LONGER_OFFERED)
  } else if (!extensions.has('8BITMIME')) {
    if (left.body === '8BITMIME' && eightBit === 'refuse') throw new SmtpError(NO_8BIT)
    delete left.body
  }
  if (left.auth !== undefined && !isTrusted) left.auth = '' // [RFC 4954 §5]
  return left as MailParameters
}

/** The parameters of RCPT. */
export function rcptParameters({ parameters }: Recipient, { extensions }: ServerOffer): RcptParameters {
  const { notify, orcpt, rrvs } = parameters
  const dsn = extensions.has('DSN')
  return {
    ...(dsn && notify !== undefined && { notify }),
    ...(dsn && orcpt !== undefined && { orcpt }),
    ...(extensions.has('RRVS') && rrvs !== undefined && { rrvs }),
  }
}
