// How a session is opened: everything up to the first MAIL, in order.
//
//   greeting ─ EHLO (HELO) ─ STARTTLS, handshake, EHLO again ─ XCLIENT, greeting, EHLO again ─ AUTH ─→ the offer

import type { ReceivedReply } from '../protocol/replies/received-reply.ts'
import { noOffer, parseOffer, type ServerOffer } from '../protocol/replies/server-offer.ts'
import { formatXclient, type XclientAttributes } from '../protocol/proxy/xclient.ts'
import { authenticate } from './auth/authenticate.ts'
import { clientError, SmtpClientError } from './client-error.ts'
import type { Connection } from './connection.ts'
import type { ResolvedClientOptions } from './options.ts'
import type { ReplyStep } from './steps.ts'

/** What the opening asks of the client. */
export interface Opener {
  readonly options: ResolvedClientOptions
  readonly connection: Connection
  /** Sends a command line and resolves with its reply. */
  command(step: ReplyStep, line: string): Promise<ReceivedReply>
  /** Puts TLS in the place of the stream. */
  upgrade(): Promise<void>
  /** The server offers this from now on. */
  offers(offer: ServerOffer): void
}

/** Replies to EHLO that say that the server does not know it: it may know HELO. [RFC 5321 §3.2] */
const UNKNOWN_COMMAND: ReadonlySet<number> = new Set([500, 501, 502, 503, 504])

/** What EHLO can say: one word of printable ASCII. */
const HELO_NAME = /^[!-~]{1,255}$/

const UNKNOWN = Object.freeze({ unavailable: 'permanently' })
/** Every attribute but PROTO, which Postfix does not accept as unknown; EHLO sets it anew anyway. */
const NOTHING_KNOWN: XclientAttributes = {
  name: UNKNOWN,
  addr: UNKNOWN,
  port: UNKNOWN,
  helo: UNKNOWN,
  login: UNKNOWN,
  destAddr: UNKNOWN,
  destPort: UNKNOWN,
  reverseName: UNKNOWN,
}

/** Opens a session. Rejects with a {@link SmtpClientError} if that is not possible. */
export async function openSession(opener: Opener, greeting: Promise<ReceivedReply>): Promise<void> {
  const { connection, options } = opener
  positive('greeting', await greeting)
  if (connection.tls !== null) checkCertificate(opener)
  let offer = await hello(opener)
  if (connection.tls === null && (await startTls(opener, offer))) offer = await hello(opener)
  if (options.xclient === null) return logIn(opener, offer)
  await speakFor(opener, xclientLines(offer, options.xclient), options.xclient.helo)
}

/**
 * The arguments of XCLIENT: every attribute that the server takes, `[UNAVAILABLE]` if it is not among `attributes`, so
 * that nothing is left of a client before. Throws `ERR_NOT_OFFERED` if it takes none.
 */
export function xclientLines(offer: ServerOffer, attributes: XclientAttributes): readonly string[] {
  const names = offer.extensions.get('XCLIENT')?.map(name => name.toUpperCase()) ?? []
  const lines = formatXclient({ ...NOTHING_KNOWN, ...attributes }, new Set(names))
  if (lines.length === 0)
    throw new SmtpClientError('ERR_NOT_OFFERED', 'the server does not offer it', { step: 'XCLIENT' })
  return lines
}

/**
 * Speaks for another client: XCLIENT, with which the server forgets all that was said; then EHLO and AUTH again. EHLO
 * says the name that the other client has said, if that is known: in Postfix it replaces the attribute HELO.
 */
export async function speakFor(
  opener: Opener,
  lines: readonly string[],
  helo: XclientAttributes['helo'],
): Promise<void> {
  for (const line of lines) positive('XCLIENT', await opener.command('XCLIENT', `XCLIENT ${line}`))
  const name = typeof helo === 'string' && HELO_NAME.test(helo) ? helo : opener.options.name
  await logIn(opener, await hello(opener, name))
}

/** Says EHLO, or LHLO. If the name of another client is refused, it says its own, which the server knows. */
async function hello(opener: Opener, name = opener.options.name): Promise<ServerOffer> {
  const { name: own, lmtp } = opener.options
  const verb = lmtp ? 'LHLO' : 'EHLO'
  const reply = await opener.command(verb, `${verb} ${name}`)
  if (reply.code >= 400 && name !== own) return hello(opener)
  const offer =
    UNKNOWN_COMMAND.has(reply.code) && !lmtp
      ? noOffer(positive('HELO', await opener.command('HELO', `HELO ${name}`)).lines)
      : parseOffer(positive(verb, reply).lines)
  opener.offers(offer)
  return offer
}

/** Resolves with true once the connection is under TLS, false if it goes on in clear. */
async function startTls({ options, connection, ...opener }: Opener, offer: ServerOffer): Promise<boolean> {
  const { mode } = options.tls
  const possible = offer.extensions.has('STARTTLS') && connection.canUpgrade
  if (mode === 'never' || (mode === 'may' && !possible)) return false
  if (!possible) {
    const why = connection.canUpgrade ? 'the server does not offer it' : 'what is piped in is not piped out to'
    throw new SmtpClientError('ERR_TLS', why, { step: 'STARTTLS' })
  }
  const reply = await opener.command('STARTTLS', 'STARTTLS')
  if (reply.code === 220) {
    await opener.upgrade()
    return true
  }
  if (mode === 'may') return false
  throw new SmtpClientError('ERR_TLS', `the server refuses with ${reply.code}`, { step: 'STARTTLS', reply })
}

function checkCertificate({ connection, options }: Opener): void {
  const problem = connection.certificateProblem(options.tls)
  if (problem !== null) throw new SmtpClientError('ERR_TLS', problem, { step: 'TLS' })
}

async function logIn({ connection, options, ...opener }: Opener, offer: ServerOffer): Promise<void> {
  const { auth, tls } = options
  if (auth === null) return
  // A certificate that nobody checked could be anybody's, who would be told the password.
  const trusted = connection.tls !== null && (connection.tls.authorized || isPinned(tls) || isUnchecked(tls))
  if (!trusted && !auth.insecure) {
    throw new SmtpClientError('ERR_TLS', 'credentials are sent over TLS with a valid certificate only', {
      step: 'AUTH',
    })
  }
  try {
    await authenticate(auth, offer, line => opener.command('AUTH', line))
  } catch (error) {
    throw clientError(error, 'AUTH')
  }
}

function isPinned(tls: ResolvedClientOptions['tls']): boolean {
  return tls.fingerprints256.size > 0
}

/** The program has said that it needs TLS, and that the certificate does not matter. */
function isUnchecked(tls: ResolvedClientOptions['tls']): boolean {
  return tls.mode === 'must' && !tls.verifies
}

function positive(step: ReplyStep, reply: ReceivedReply): ReceivedReply {
  if (reply.code < 400) return reply
  throw new SmtpClientError('ERR_REFUSED', `the server refuses with ${reply.code}`, { step, reply })
}
