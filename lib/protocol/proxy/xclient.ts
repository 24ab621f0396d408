// What a trusted proxy says of the client behind it: the attributes of XCLIENT and XFORWARD (Postfix XCLIENT_README,
// XFORWARD_README).

import { type AddressLiteral, isIPv4, isIPv6 } from '../addresses/address-literal.ts'
import { isAtom } from '../addresses/characters.ts'
import { isDomain } from '../addresses/domain.ts'
import { decodeXtext } from '../parameters/xtext.ts'

/** The proxy does not know: `[UNAVAILABLE]`, or for now, `[TEMPUNAVAIL]`. */
export interface Unavailable {
  readonly unavailable: 'permanently' | 'temporarily'
}

/** What the proxy says, or that it does not know; a name that was not given is not there at all. */
export type Attribute<T> = T | Unavailable

/** The attributes of XCLIENT. */
export interface XclientAttributes {
  readonly name?: Attribute<string>
  readonly addr?: Attribute<AddressLiteral>
  readonly port?: Attribute<number>
  readonly proto?: Attribute<'SMTP' | 'ESMTP'>
  readonly helo?: Attribute<string>
  readonly login?: Attribute<string>
  readonly destAddr?: Attribute<AddressLiteral>
  readonly destPort?: Attribute<number>
  readonly reverseName?: Attribute<string>
}

/** The attributes of XFORWARD. */
export interface XforwardAttributes {
  readonly name?: Attribute<string>
  readonly addr?: Attribute<AddressLiteral>
  readonly port?: Attribute<number>
  readonly proto?: Attribute<string>
  readonly helo?: Attribute<string>
  readonly ident?: Attribute<string>
  readonly source?: Attribute<'LOCAL' | 'REMOTE'>
}

/** What is wrong with an attribute list: answered with 501 5.5.4. `problem` is fixed text. */
export interface AttributeError {
  /** Offset in the argument. */
  readonly at: number
  readonly problem: string
}

/** The attributes, frozen, or the first error. */
export type ParsedAttributes<T> =
  | { readonly ok: true; readonly attributes: T }
  | { readonly ok: false; readonly error: AttributeError }

type Parse<T> = (value: string) => T | null
type Known<T> = Exclude<T, Unavailable | undefined>
type Row<T> = { readonly [K in keyof T]-?: readonly [field: K, parse: Parse<Known<T[K]>>] }[keyof T]

const XCLIENT: ReadonlyMap<string, Row<XclientAttributes>> = new Map<string, Row<XclientAttributes>>([
  ['NAME', ['name', parseName]],
  ['ADDR', ['addr', parseAddress]],
  ['PORT', ['port', parsePort]],
  ['PROTO', ['proto', oneOf('SMTP', 'ESMTP')]],
  ['HELO', ['helo', parseText]],
  ['LOGIN', ['login', parseText]],
  ['DESTADDR', ['destAddr', parseAddress]],
  ['DESTPORT', ['destPort', parsePort]],
  ['REVERSE_NAME', ['reverseName', parseName]],
])

const XFORWARD: ReadonlyMap<string, Row<XforwardAttributes>> = new Map<string, Row<XforwardAttributes>>([
  ['NAME', ['name', parseName]],
  ['ADDR', ['addr', parseAddress]],
  ['PORT', ['port', parsePort]],
  ['PROTO', ['proto', parseAtom]],
  ['HELO', ['helo', parseText]],
  ['IDENT', ['ident', parseText]],
  ['SOURCE', ['source', oneOf('LOCAL', 'REMOTE')]],
])

const UNAVAILABLE: ReadonlyMap<string, Unavailable> = new Map<string, Unavailable>([
  ['[UNAVAILABLE]', Object.freeze({ unavailable: 'permanently' })],
  ['[TEMPUNAVAIL]', Object.freeze({ unavailable: 'temporarily' })],
])

/** True when the proxy said that it does not know. */
export function isUnavailable(attribute: unknown): attribute is Unavailable {
  return typeof attribute === 'object' && attribute !== null && 'unavailable' in attribute
}

/** Reads the argument of XCLIENT. Values are xtext; what decodes to control characters is refused. Never throws. */
export function parseXclient(argument: string): ParsedAttributes<XclientAttributes> {
  return parseAttributes(argument, XCLIENT)
}

/** Reads the argument of XFORWARD, like {@link parseXclient}. */
export function parseXforward(argument: string): ParsedAttributes<XforwardAttributes> {
  return parseAttributes(argument, XFORWARD)
}

function parseAttributes<T>(argument: string, rows: ReadonlyMap<string, Row<T>>): ParsedAttributes<T> {
  const attributes = new Map<PropertyKey, unknown>()
  const WORD = /[^ ]+/g
  for (let found = WORD.exec(argument); found !== null; found = WORD.exec(argument)) {
    const at = found.index
    const word = found[0]
    const equals = word.indexOf('=')
    if (equals < 1) return fail(at, 'an attribute is written NAME=value')
    const row = rows.get(word.slice(0, equals).toUpperCase())
    if (row === undefined) return fail(at, 'the attribute is not known')
    const [field, parse] = row
    if (attributes.has(field)) return fail(at, 'the attribute is given twice')
    const raw = word.slice(equals + 1)
    const value = UNAVAILABLE.get(raw.toUpperCase()) ?? parseValue(raw, parse)
    if (value === null) return fail(at + equals + 1, 'the value is not good for this attribute')
    attributes.set(field, value)
  }
  if (attributes.size === 0) return fail(0, 'there are no attributes')
  return { ok: true, attributes: Object.freeze(Object.fromEntries(attributes)) as T }
}

function parseValue<V>(raw: string, parse: Parse<V>): V | null {
  const decoded = decodeXtext(raw)
  return decoded.ok && decoded.text !== '' ? parse(decoded.text) : null
}

function parseName(value: string): string | null {
  return isDomain(value, { utf8: false, lenient: true }) ? value : null
}

function parseAddress(value: string): AddressLiteral | null {
  if (isIPv4(value)) return { family: 4, address: value }
  const address = /^IPV6:/i.test(value) ? value.slice('IPV6:'.length).toLowerCase() : ''
  return isIPv6(address) ? { family: 6, address } : null
}

function parsePort(value: string): number | null {
  return /^[1-9]\d{0,4}$/.test(value) && Number(value) < 65_536 ? Number(value) : null
}

function parseText(value: string): string {
  return value
}

function parseAtom(value: string): string | null {
  return isAtom(value) ? value.toUpperCase() : null
}

function oneOf<W extends string>(...words: readonly W[]): Parse<W> {
  return value => words.find(word => word === value.toUpperCase()) ?? null
}

function fail<T>(at: number, problem: string): ParsedAttributes<T> {
  return { ok: false, error: { at, problem } }
}
