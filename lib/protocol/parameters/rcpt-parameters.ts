// The parameters of RCPT, a row each.

import { isAscii, isAtom } from '../addresses/characters.ts'
import { formatDateTime, parseDateTime } from './date-time.ts'
import {
  type AnyRow,
  type Extension,
  formatRows,
  type ParameterTable,
  type ParsedRows,
  parseRows,
} from './parameter-rows.ts'
import { decodeUtf8Xtext, decodeXtext, encodeUtf8Xtext, encodeXtext } from './xtext.ts'

/** When a delivery status notification is sent for a recipient. */
export type Notify = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY'

/** The parameters of a RCPT command. */
export interface RcptParameters {
  /** NEVER alone, or one or more of the others, each once. [RFC 3461 §4.1] */
  readonly notify?: readonly Notify[]
  /** The original recipient, before anybody forwarded the message. [RFC 3461 §4.2] */
  readonly orcpt?: OriginalRecipient
  /** Since when the mailbox must have had the same owner. [RFC 7293 §3.1] */
  readonly rrvs?: RequiredValidSince
}

/** The value of ORCPT. [RFC 3461 §4.2, RFC 6533 §3] */
export interface OriginalRecipient {
  /** The type of the address in lower case: `rfc822`, `utf-8`, or another that is registered. */
  readonly type: string
  /** The address, decoded from xtext; it holds no control character. */
  readonly address: string
}

/** The value of RRVS. [RFC 7293 §3.1] */
export interface RequiredValidSince {
  /** The mailbox must have had the same owner since then; else the message is refused. */
  readonly since: Date
  /** If the next server lacks RRVS: `C` goes on without it, `R` refuses the message; null if the client did not say. */
  readonly action: 'C' | 'R' | null
}

/** The keywords that {@link parseRcptParameters} knows. */
export type RcptKeyword = 'NOTIFY' | 'ORCPT' | 'RRVS'

const ORCPT_LENGTH = 500

const ROWS = {
  NOTIFY: {
    field: 'notify',
    extensions: ['DSN'],
    clause: 'RFC 3461 §4.1',
    parse: parseNotify,
    format: notify => notify.join(','),
  },
  ORCPT: {
    field: 'orcpt',
    extensions: ['DSN'],
    clause: 'RFC 3461 §4.2, RFC 6533 §3',
    parse: parseOrcpt,
    format: ({ type, address }) => `${type};${type === 'utf-8' ? encodeUtf8Xtext(address) : encodeXtext(address)}`,
  },
  RRVS: {
    field: 'rrvs',
    extensions: ['RRVS'],
    clause: 'RFC 7293 §3.1',
    parse: parseRrvs,
    format: ({ since, action }) => `${formatDateTime(since)}${action === null ? '' : `;${action}`}`,
  },
} as const satisfies Record<RcptKeyword, AnyRow<RcptParameters>>

const TABLE: ParameterTable<RcptParameters> = new Map(Object.entries(ROWS))

/**
 * Parses the parameters of a RCPT command, `given` split by `parseParameters`, by the extensions that this client was
 * offered. Never throws.
 */
export function parseRcptParameters(
  given: ReadonlyMap<string, string | null>,
  offered: ReadonlySet<Extension>,
): ParsedRows<RcptParameters> {
  return parseRows(TABLE, given, offered, 'strict')
}

/**
 * Formats the parameters of a RCPT command for a server that offered these extensions: `'NOTIFY=NEVER'`, `''` if there
 * are none. {@link parseRcptParameters} reads the same from it. ORCPT is ASCII, whatever its type.
 *
 * @throws {MailHandlerError} `ERR_NOT_OFFERED` for a parameter of another extension, `ERR_OPTION` for a value that
 *   cannot be written.
 */
export function formatRcptParameters(parameters: RcptParameters, offered: ReadonlySet<Extension>): string {
  return formatRows(TABLE, parameters, offered)
}

function parseNotify(value: string | null): Partial<RcptParameters> | string {
  const list = [...new Set((value ?? '').toUpperCase().split(','))]
  const known = list.every(word => word === 'NEVER' || word === 'SUCCESS' || word === 'FAILURE' || word === 'DELAY')
  if (!known || (list.length > 1 && list.includes('NEVER'))) return 'NOTIFY takes NEVER, or SUCCESS, FAILURE and DELAY'
  return { notify: Object.freeze(list as Notify[]) }
}

function parseOrcpt(value: string | null, offered: ReadonlySet<Extension>): Partial<RcptParameters> | string {
  if (value === null) return 'ORCPT takes a value'
  if (Buffer.byteLength(value) > ORCPT_LENGTH) return `ORCPT takes at most ${ORCPT_LENGTH} octets`
  const semicolon = value.indexOf(';')
  const type = value.slice(0, Math.max(semicolon, 0)).toLowerCase()
  const encoded = value.slice(semicolon + 1)
  if (!isAtom(type) || encoded === '') return 'ORCPT takes a type, a semicolon and an address'
  const utf8 = type === 'utf-8'
  const decoded = utf8 ? decodeUtf8Xtext(encoded, { utf8: offered.has('SMTPUTF8') }) : decodeXtext(encoded)
  if (!decoded.ok || (!utf8 && !isAscii(decoded.text))) return 'ORCPT takes its address as xtext'
  return { orcpt: { type, address: decoded.text } }
}

function parseRrvs(value: string | null): Partial<RcptParameters> | string {
  const [, time, action] = /^([^;]+)(?:;([CR]))?$/i.exec(value ?? '') ?? []
  const since = parseDateTime(time ?? '')
  if (since === null) return 'RRVS takes a date-time, then ;C, ;R or nothing'
  return { rrvs: { since, action: action === undefined ? null : action.toUpperCase() === 'C' ? 'C' : 'R' } }
}
