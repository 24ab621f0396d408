// The trace field of a message, `Received:`. It carries what a stranger said, so each word is either checked by its
// grammar or left out; the one free text, a HELO that is no name, stands in a comment with all that could end it
// replaced.

import { MailHandlerError } from '../../words/errors.ts'
import { addressOctets, formatAddress } from '../networks/ip-address.ts'

/** What `receivedField()` writes. */
export interface Received {
  /** The client's HELO or EHLO argument, as it came. */
  readonly helo: string
  /** The client's IP address. Absent, or no IP address: the field has none. */
  readonly address?: string | undefined
  /** The client's name by reverse lookup; left out when it is no domain. */
  readonly name?: string | undefined
  /** This server's name. */
  readonly by: string
  /** `ESMTP`, `ESMTPSA`, `UTF8SMTPS` … (RFC 3848, RFC 6531 §4.3). */
  readonly protocol: string
  /** What this server calls the session or message: letters, digits and ``!#$%&'*+-/=?^_`{|}~.``. */
  readonly id: string
  /**
   * The forward-paths' mailboxes. Only a single one is written, as others should not learn of each other (RFC 5321
   * §7.2).
   */
  readonly recipients?: readonly string[]
  /** `version` as Node has it (`TLSv1.3`), `cipher` by its IANA name (`getCipher().standardName`; RFC 8314 §4.3). */
  readonly tls?: { readonly version: string; readonly cipher?: string | undefined } | undefined
  readonly date: Date
}

const width = 78
const atom = /^[\w!#$%&'*+\-/=?^`{|}~.]{1,255}$/
const label = /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i
const utf8Label = /^(?:[a-z\d-]|[^\0-\x7f\p{C}\p{Z}]){1,63}$/iu
const localPart =
  /^(?:(?:[\w!#$%&'*+\-/=?^`{|}~.]|[^\0-\x7f\p{C}\p{Z}]){1,64}|"(?:[ !#-[\]-~]|\\[ -~]|[^\0-\x7f\p{C}\p{Z}]){0,64}")$/u

/**
 * The whole field with its CRLF, folded at 78 columns where words allow, to be put before the message (RFC 5321
 * §4.4). It is ASCII, unless the protocol is one of the UTF8… ones. Throws `ERR_OPTION` when what the server itself
 * says is wrong: `by`, `protocol`, `id` or `date`.
 */
export function receivedField(received: Received): string {
  const { by, protocol, id, date } = received
  const utf8 = /^UTF8/i.test(protocol)
  check('by', isDomain(by, utf8) || isLiteral(by))
  check('protocol', /^[\w-]{1,64}$/.test(protocol))
  check('id', atom.test(id))
  check('date', !Number.isNaN(date.getTime()))
  const version = received.tls && atom.test(received.tls.version) ? [`(${received.tls.version})`] : []
  const clauses = [
    ['Received:', ...fromClause(received, utf8)],
    ['by', by, 'with', protocol, ...version, 'id', id],
    [...forClause(received.recipients, utf8), ...tlsClause(received.tls)],
  ]
  const lines = clauses.filter(words => words.length > 0).map(fold)
  return `${lines.join('\r\n ')};\r\n ${messageDate(date)}\r\n`
}

/**
 * `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3): canonical, IPv4 mapped into IPv6 as IPv4, without a zone.
 * Throws `ERR_OPTION` for what is no IP address.
 */
export function addressLiteral(address: string): string {
  const octets = addressOctets(address)
  if (octets === null) throw new MailHandlerError('ERR_OPTION', 'address: not an IP address')
  const text = formatAddress(octets)
  return text.includes(':') ? `[IPv6:${text}]` : `[${text}]`
}

function fromClause({ helo, address, name }: Received, utf8: boolean): string[] {
  const literal = address !== undefined && addressOctets(address) !== null ? addressLiteral(address) : null
  const seen =
    literal === null ? [] : name !== undefined && isDomain(name, utf8) ? [`(${name}`, `${literal})`] : [`(${literal})`]
  if (isDomain(helo, utf8) || isLiteral(helo)) return ['from', helo, ...seen]
  // What is no name must not stand where one does: the address takes its place. [RFC 5321 §4.4, Extended-Domain]
  return ['from', literal ?? 'unknown', ...seen, `(helo=${commentText(helo)})`]
}

function forClause(recipients: readonly string[] | undefined, utf8: boolean): string[] {
  const [recipient] = recipients ?? []
  if (recipient === undefined || recipients?.length !== 1) return []
  const at = recipient.lastIndexOf('@')
  const domain = recipient.slice(at + 1)
  const good = at > 0 && localPart.test(recipient.slice(0, at)) && (isDomain(domain, utf8) || isLiteral(domain))
  return good && (utf8 || isAscii(recipient)) ? ['for', `<${recipient}>`] : []
}

function tlsClause(tls: Received['tls']): string[] {
  return tls?.cipher !== undefined && /^TLS_\w{1,80}$/.test(tls.cipher) ? ['tls', tls.cipher] : []
}

function isDomain(text: string, utf8: boolean): boolean {
  const form = utf8 ? utf8Label : label
  return text.length <= 255 && text.split('.').every(part => form.test(part))
}

function isLiteral(text: string): boolean {
  if (!text.startsWith('[') || !text.endsWith(']') || text.includes('%')) return false
  const inner = text.slice(1, -1)
  const address = inner.replace(/^IPv6:/i, '')
  return addressOctets(address) !== null && address.includes(':') === (address !== inner)
}

// No control, no parenthesis, backslash or space, nothing beyond ASCII. [RFC 5322 §3.2.2, ctext]
function commentText(text: string): string {
  return text.slice(0, 64).replaceAll(/[^!-'*-[\]-~]/gu, '?')
}

function messageDate(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000') // [RFC 5322 §3.3]
}

function fold(words: readonly string[]): string {
  const lines: string[] = []
  for (const word of words) {
    const line = lines.at(-1)
    // Two columns are kept for the space before and the semicolon after.
    if (line === undefined || line.length + 1 + word.length > width - 2) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.join('\r\n ')
}

function isAscii(text: string): boolean {
  return /^[ -~]*$/.test(text)
}

function check(name: string, good: boolean): void {
  if (!good) throw new MailHandlerError('ERR_OPTION', `${name}: can't stand in a Received field`)
}
