// What a trusted proxy says of the client behind it: the attributes of XCLIENT and XFORWARD (Postfix XCLIENT_README,
// XFORWARD_README).

import { isDeepStrictEqual } from 'node:util'
import { MailHandlerError } from '../../words/errors.ts'
import { wrong } from '../../words/option-checks.ts'
import { type AddressLiteral, isIPv4, isIPv6 } from '../addresses/address-literal.ts'
import { isAtom } from '../addresses/characters.ts'
import { isDomain } from '../addresses/domain.ts'
import { decodeXtext, encodeXtext } from '../parameters/xtext.ts'

/** The proxy does not know the value: `[UNAVAILABLE]`, or for now, `[TEMPUNAVAIL]`. */
export interface Unavailable {
  /** Whether it may be known later. */
  readonly unavailable: 'permanently' | 'temporarily'
}

/** A value, or that the proxy does not know it. An attribute that was not given is undefined. */
export type Attribute<T> = T | Unavailable

/** The attributes of XCLIENT, by which a proxy says whom it speaks for. */
export interface XclientAttributes {
  /** NAME: the client's name by reverse lookup, confirmed by the name's addresses. */
  readonly name?: Attribute<string>
  /** ADDR: the client's address. */
  readonly addr?: Attribute<AddressLiteral>
  /** PORT: the client's port. */
  readonly port?: Attribute<number>
  /** PROTO: whether the client said HELO or EHLO. */
  readonly proto?: Attribute<'SMTP' | 'ESMTP'>
  /** HELO: the argument of HELO or EHLO. */
  readonly helo?: Attribute<string>
  /** LOGIN: the user that the client has logged in as. */
  readonly login?: Attribute<string>
  /** DESTADDR: the address that the client connected to. */
  readonly destAddr?: Attribute<AddressLiteral>
  /** DESTPORT: the port that the client connected to. */
  readonly destPort?: Attribute<number>
  /** REVERSE_NAME: the client's name by reverse lookup, not confirmed. */
  readonly reverseName?: Attribute<string>
}

/** The attributes of XFORWARD, by which a proxy tells for the log where a message comes from. */
export interface XforwardAttributes {
  /** NAME: the client's name by reverse lookup. */
  readonly name?: Attribute<string>
  /** ADDR: the client's address. */
  readonly addr?: Attribute<AddressLiteral>
  /** PORT: the client's port. */
  readonly port?: Attribute<number>
  /** PROTO: the protocol by which the message came: `SMTP`, `ESMTP`, `LMTP` … */
  readonly proto?: Attribute<string>
  /** HELO: the argument of HELO or EHLO. */
  readonly helo?: Attribute<string>
  /** IDENT: what the proxy calls the message. */
  readonly ident?: Attribute<string>
  /** SOURCE: whether the message comes from the proxy's own system. */
  readonly source?: Attribute<'LOCAL' | 'REMOTE'>
}

/** What is wrong with a list of attributes; it is answered with 501 5.5.4. `problem` is fixed text. */
export interface AttributeError {
  /** Offset in the argument. */
  readonly at: number
  readonly problem: string
}

/** The attributes, frozen, or the first error. */
export type ParsedAttributes<T> =
  | { readonly ok: true; readonly attributes: T }
  | { readonly ok: false; readonly error: AttributeError }

type Known<T> = Exclude<T, Unavailable | undefined>

/** What an attribute's value is, parsed from text and formatted as text, before xtext. */
interface ValueForm<V> {
  readonly parse: (text: string) => V | null
  readonly format: (value: V) => string
}

type Row<T> = { readonly [K in keyof T]-?: ValueForm<Known<T[K]>> & { readonly field: K } }[keyof T]
type Rows<T> = ReadonlyMap<string, Row<T>>

const TEXT: ValueForm<string> = { parse: text => text, format: text => text }
const NAME: ValueForm<string> = { ...TEXT, parse: text => (isDomain(text, LENIENT) ? text : null) }
const ATOM: ValueForm<string> = { ...TEXT, parse: text => (isAtom(text) ? text.toUpperCase() : null) }
const PORT: ValueForm<number> = { parse: parsePort, format: String }
const ADDRESS: ValueForm<AddressLiteral> = {
  parse: parseAddress,
  format: ({ family, address }) => (family === 4 ? address : `IPV6:${address}`),
}

// In the order in which they are sent: NAME and ADDR last, since a client is often no longer trusted behind them.
const XCLIENT: Rows<XclientAttributes> = new Map<string, Row<XclientAttributes>>([
  ['HELO', { field: 'helo', ...TEXT }],
  ['PROTO', { field: 'proto', ...oneOf('SMTP', 'ESMTP') }],
  ['LOGIN', { field: 'login', ...TEXT }],
  ['DESTADDR', { field: 'destAddr', ...ADDRESS }],
  ['DESTPORT', { field: 'destPort', ...PORT }],
  ['PORT', { field: 'port', ...PORT }],
  ['REVERSE_NAME', { field: 'reverseName', ...NAME }],
  ['NAME', { field: 'name', ...NAME }],
  ['ADDR', { field: 'addr', ...ADDRESS }],
])

const XFORWARD: Rows<XforwardAttributes> = new Map<string, Row<XforwardAttributes>>([
  ['NAME', { field: 'name', ...NAME }],
  ['ADDR', { field: 'addr', ...ADDRESS }],
  ['PORT', { field: 'port', ...PORT }],
  ['PROTO', { field: 'proto', ...ATOM }],
  ['HELO', { field: 'helo', ...TEXT }],
  ['IDENT', { field: 'ident', ...TEXT }],
  ['SOURCE', { field: 'source', ...oneOf('LOCAL', 'REMOTE') }],
])

const LENIENT = Object.freeze({ utf8: false, strictness: 'lenient' } as const)

/** Octets of a command line with CRLF that every server takes. [RFC 5321 §4.5.3.1.4] */
const COMMAND_LINE_OCTETS = 512

const UNAVAILABLE: ReadonlyMap<string, Unavailable> = new Map<string, Unavailable>([
  ['[UNAVAILABLE]', Object.freeze({ unavailable: 'permanently' })],
  ['[TEMPUNAVAIL]', Object.freeze({ unavailable: 'temporarily' })],
])

/** True if the proxy said that it does not know the value. */
export function isUnavailable(attribute: unknown): attribute is Unavailable {
  return typeof attribute === 'object' && attribute !== null && 'unavailable' in attribute
}

/** Parses the argument of XCLIENT. Values are xtext; a value that decodes to control characters is refused. Never throws. */
export function parseXclient(argument: string): ParsedAttributes<XclientAttributes> {
  return parseAttributes(argument, XCLIENT)
}

/** Parses the argument of XFORWARD, like {@link parseXclient}. */
export function parseXforward(argument: string): ParsedAttributes<XforwardAttributes> {
  return parseAttributes(argument, XFORWARD)
}

/**
 * Formats the arguments of XCLIENT: one, or several if they exceed the 512 octets of a command line together. Between
 * two of them the server answers 220 and forgets what the client has said. {@link parseXclient} reads the same from
 * them. Only the attributes in `names`, those that EHLO listed, are written; `[]` if there are none of them.
 *
 * @throws {MailHandlerError} `ERR_OPTION` for a value that cannot be written.
 */
export function formatXclient(attributes: XclientAttributes, names: ReadonlySet<string>): readonly string[] {
  return formatAttributes(attributes, XCLIENT, names, 'XCLIENT')
}

/**
 * Formats the arguments of XFORWARD, like {@link formatXclient}; several commands add up.
 *
 * @throws {MailHandlerError} `ERR_OPTION` for a value that cannot be written.
 */
export function formatXforward(attributes: XforwardAttributes, names: ReadonlySet<string>): readonly string[] {
  return formatAttributes(attributes, XFORWARD, names, 'XFORWARD')
}

function formatAttributes<T extends object>(
  attributes: T,
  rows: Rows<T>,
  names: ReadonlySet<string>,
  verb: string,
): readonly string[] {
  const room = COMMAND_LINE_OCTETS - verb.length - ' \r\n'.length
  const lines: string[] = []
  const unknown = new Set(Object.keys(attributes))
  for (const [name, row] of rows) {
    unknown.delete(row.field as string)
    const value = attributes[row.field]
    if (value === undefined || !names.has(name)) continue
    const word = `${name}=${formatValue(name, row, value)}`
    const line = lines.at(-1)
    if (line === undefined || line.length + 1 + word.length > room) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  for (const field of unknown) throw wrong(`${verb} has no attribute ${JSON.stringify(field)}`)
  return lines
}

/** The value in xtext, which is parsed again: it must be read as it was meant. */
function formatValue<T>(name: string, row: Row<T>, value: unknown): string {
  if (isUnavailable(value)) return value.unavailable === 'temporarily' ? '[TEMPUNAVAIL]' : '[UNAVAILABLE]'
  let text: string
  try {
    text = encodeXtext((row.format as (value: unknown) => string)(value)).replace(/^\[/, '+5B')
  } catch (cause) {
    throw new MailHandlerError('ERR_OPTION', `attribute ${name}: ${(cause as Error).message}`, { cause })
  }
  if (!isDeepStrictEqual(parseValue(text, row), value)) throw wrong(`attribute ${name} cannot be written`)
  return text
}

function parseAttributes<T>(argument: string, rows: Rows<T>): ParsedAttributes<T> {
  const attributes = new Map<PropertyKey, unknown>()
  const WORD = /[^ ]+/g
  for (let found = WORD.exec(argument); found !== null; found = WORD.exec(argument)) {
    const at = found.index
    const word = found[0]
    const equals = word.indexOf('=')
    if (equals < 1) return fail(at, 'an attribute is written NAME=value')
    const row = rows.get(word.slice(0, equals).toUpperCase())
    if (row === undefined) return fail(at, 'the attribute is not known')
    if (attributes.has(row.field)) return fail(at, 'the attribute is given twice')
    const raw = word.slice(equals + 1)
    const value = UNAVAILABLE.get(raw.toUpperCase()) ?? parseValue(raw, row)
    if (value === null) return fail(at + equals + 1, 'the value is not valid for this attribute')
    attributes.set(row.field, value)
  }
  if (attributes.size === 0) return fail(0, 'there are no attributes')
  return { ok: true, attributes: Object.freeze(Object.fromEntries(attributes)) as T }
}

function parseValue<T>(raw: string, { parse }: Row<T>): unknown {
  const decoded = decodeXtext(raw)
  return decoded.ok && decoded.text !== '' ? parse(decoded.text) : null
}

function parseAddress(text: string): AddressLiteral | null {
  if (isIPv4(text)) return { family: 4, address: text }
  const address = /^IPV6:/i.test(text) ? text.slice('IPV6:'.length).toLowerCase() : ''
  return isIPv6(address) ? { family: 6, address } : null
}

function parsePort(text: string): number | null {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) < 65_536 ? Number(text) : null
}

function oneOf<W extends string>(...words: readonly W[]): ValueForm<W> {
  return { parse: text => words.find(word => word === text.toUpperCase()) ?? null, format: word => word }
}

function fail<T>(at: number, problem: string): ParsedAttributes<T> {
  return { ok: false, error: { at, problem } }
}
