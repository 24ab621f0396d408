// The trace field of a message, `Received:`. Parts of it come from the client: each word is checked by its grammar, and
// left out if it does not follow it. A HELO that is no name is put into a comment, without the characters that could
// end the comment.

import { MailHandlerError } from '../../words/errors.ts'
import { printable } from '../../words/printable.ts'
import { formatAddressLiteral } from '../addresses/address-literal.ts'
import { isAtom } from '../addresses/characters.ts'
import { isDomain, parseHelo } from '../addresses/domain.ts'
import { parseMailbox } from '../addresses/mailbox.ts'
import { addressOctets, formatAddress } from '../networks/ip-address.ts'
import { foldLines } from './header-field.ts'

/** What `receivedField()` writes. */
export interface Received {
  /** The client's HELO or EHLO argument, as it came. */
  readonly helo: string
  /** The client's IP address; left out of the field if it is absent or no IP address. */
  readonly address?: string | undefined
  /** The client's name by reverse lookup; left out if it is no domain. */
  readonly name?: string | undefined
  /** This server's name. */
  readonly by: string
  /** `ESMTP`, `ESMTPSA`, `UTF8SMTPS` … (RFC 3848, RFC 6531 §4.3). */
  readonly protocol: string
  /** What this server calls the session or message: letters, digits and ``!#$%&'*+-/=?^_`{|}~.``. */
  readonly id: string
  /**
   * The mailboxes of the forward-paths. Written only if there is one: recipients must not learn of each other.
   * [RFC 5321 §7.2]
   */
  readonly recipients?: readonly string[]
  /** The TLS layer that the message came by; absent if it came in clear. [RFC 8314 §4.3] */
  readonly tls?: ReceivedTls | undefined
  /** When the message was received; written in UTC. */
  readonly date: Date
}

/** What a Received field says of the TLS layer. */
export interface ReceivedTls {
  /** As Node has it: `TLSv1.3`; left out of the field if it is no word. */
  readonly version: string
  /** The cipher by its IANA name, as `getCipher().standardName` has it; left out if it is absent or no word. */
  readonly cipher?: string | undefined
}

/** Octets of an identifier or a TLS version, at the most. */
const WORD_OCTETS = 255

/**
 * The whole field with its CRLF, to be put before the message: a line for each clause, folded at 78 octets where words
 * allow. It is ASCII, unless the protocol is one of the UTF8… ones. [RFC 5321 §4.4]
 *
 * @throws {MailHandlerError} `ERR_OPTION` if a value of the server itself is wrong: `by`, `protocol`, `id` or `date`.
 */
export function receivedField(received: Received): string {
  for (const name of ['helo', 'by', 'protocol', 'id'] as const) check(name, typeof received[name] === 'string')
  check('date', received.date instanceof Date)
  const { by, protocol, id, date } = received
  const utf8 = /^UTF8/i.test(protocol)
  check('by', isDomainOrLiteral(by, utf8))
  check('protocol', /^[\w-]{1,64}$/.test(protocol))
  check('id', isWord(id))
  check('date', !Number.isNaN(date.getTime()))
  const version = received.tls && isWord(received.tls.version) ? ` (${received.tls.version})` : ''
  const trace = [
    fromClause(received, utf8),
    `by ${by} with ${protocol}${version} id ${id}`,
    [...forClause(received.recipients, utf8), ...tlsClause(received.tls)].join(' '),
  ]
  const clauses = trace.filter(clause => clause !== '')
  const lines = clauses.flatMap((clause, i) => {
    const isLast = i === clauses.length - 1
    return foldLines(i === 0 ? 'Received:' : '', isLast ? `${clause};` : clause)
  })
  lines.push(` ${messageDate(date)}`)
  return `${lines.join('\r\n')}\r\n`
}

/**
 * `[192.0.2.1]`, `[IPv6:2001:db8::1]`: canonical, IPv4 mapped into IPv6 as IPv4, without a zone. [RFC 5321 §4.1.3]
 *
 * @throws {MailHandlerError} `ERR_OPTION` if the text is no IP address.
 */
export function addressLiteral(address: string): string {
  const octets = addressOctets(address)
  if (octets === null) throw new MailHandlerError('ERR_OPTION', 'address: not an IP address')
  return formatAddressLiteral({ family: octets.length === 4 ? 4 : 6, address: formatAddress(octets) })
}

function fromClause({ helo, address, name }: Received, utf8: boolean): string {
  const literal = address !== undefined && addressOctets(address) !== null ? addressLiteral(address) : null
  const named = name !== undefined && isDomain(name, { utf8, strictness: 'strict' })
  const client = literal === null ? [] : named ? [`(${name} ${literal})`] : [`(${literal})`]
  if (isDomainOrLiteral(helo, utf8)) return ['from', helo, ...client].join(' ')
  // A HELO that is no name goes into a comment, and the address takes its place. [RFC 5321 §4.4, Extended-Domain]
  return ['from', literal ?? 'unknown', ...client, `(helo=${commentText(helo)})`].join(' ')
}

function forClause(recipients: readonly string[] | undefined, utf8: boolean): string[] {
  const [recipient] = recipients ?? []
  if (recipient === undefined || recipients?.length !== 1) return []
  // Local parts longer than the 64 octets of the strict grammar are in use. [RFC 5321 §4.5.3.1]
  const { ok } = parseMailbox(recipient, { utf8, strictness: 'interoperable' })
  const valid = ok && printable(recipient, Infinity) === recipient
  return valid ? ['for', `<${recipient}>`] : []
}

function tlsClause(tls: Received['tls']): string[] {
  return tls?.cipher !== undefined && /^TLS_\w{1,80}$/.test(tls.cipher) ? ['tls', tls.cipher] : []
}

function isDomainOrLiteral(text: string, utf8: boolean): boolean {
  return parseHelo(text, { utf8, strictness: 'strict' }).ok
}

/** True for letters, digits and the other characters of atoms, and dots. */
function isWord(text: string): boolean {
  return text.length <= WORD_OCTETS && isAtom(text.replaceAll('.', ''))
}

/** Replaces controls, parentheses, backslashes, spaces and everything beyond ASCII. [RFC 5322 §3.2.2, ctext] */
function commentText(text: string): string {
  return text.slice(0, 64).replaceAll(/[^!-'*-[\]-~]/gu, '?')
}

function messageDate(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000') // [RFC 5322 §3.3]
}

function check(name: string, good: boolean): void {
  if (!good) throw new MailHandlerError('ERR_OPTION', `${name}: can't stand in a Received field`)
}
