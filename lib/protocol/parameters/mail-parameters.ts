// The parameters of MAIL, a row each.

import { formatDateTime, parseDateTime } from './date-time.ts'
import {
  type AnyRow,
  type Extension,
  formatRows,
  type ParameterTable,
  type ParsedRows,
  parseRows,
} from './parameter-rows.ts'
import { wrong } from '../../words/option-checks.ts'
import type { Strictness } from '../addresses/characters.ts'
import { parseMailbox } from '../addresses/mailbox.ts'
import { decodeXtext, encodeXtext } from './xtext.ts'

/** The parameters of a MAIL command. */
export interface MailParameters {
  /** Octets that the client is going to send; rounded above 2^53. The count in flight decides. [RFC 1870 §4] */
  readonly size?: number
  /** [RFC 6152, RFC 3030 §3] */
  readonly body?: '7BIT' | '8BITMIME' | 'BINARYMIME'
  /** [RFC 6531 §3.4] */
  readonly smtputf8?: true
  /** How much of the message a failure report includes. [RFC 3461 §4.3] */
  readonly ret?: 'FULL' | 'HDRS'
  /** The envelope identifier, decoded: printable ASCII and spaces. [RFC 3461 §4.4] */
  readonly envid?: string
  /** The mailbox that submitted the message, `''` for `AUTH=<>` and for what `lenient` takes that is no mailbox. [RFC 4954 §5] */
  readonly auth?: string
  /** [RFC 8689 §2] */
  readonly requiretls?: true
  /** -9 to 9. [RFC 6710 §4.1] */
  readonly mtPriority?: number
  /** How soon the message is to be delivered, and what happens if it cannot be. [RFC 2852 §4] */
  readonly deliverBy?: DeliverBy
  /** Seconds. [RFC 4865 §4] */
  readonly holdFor?: number
  /** [RFC 4865 §4] */
  readonly holdUntil?: Date
}

/** The value of BY. [RFC 2852 §4] */
export interface DeliverBy {
  /** Seconds from the MAIL command on; above 0 with mode R, and with mode N also 0 or less: the time is over already. */
  readonly seconds: number
  /** What to do after that time: `R` returns the message, `N` sends a notice that it is late and goes on. */
  readonly mode: 'R' | 'N'
  /** True if each server that relays the message is to notify the sender of it. */
  readonly trace: boolean
}

/** The keywords that {@link parseMailParameters} knows. */
export type MailKeyword =
  | 'SIZE'
  | 'BODY'
  | 'SMTPUTF8'
  | 'RET'
  | 'ENVID'
  | 'AUTH'
  | 'REQUIRETLS'
  | 'MT-PRIORITY'
  | 'BY'
  | 'HOLDFOR'
  | 'HOLDUNTIL'

const ENVID_LENGTH = 100

const ROWS = {
  SIZE: {
    field: 'size',
    extensions: ['SIZE'],
    clause: 'RFC 1870 §4',
    parse: value => (/^\d{1,20}$/.test(value ?? '') ? { size: Number(value) } : 'SIZE takes 1 to 20 digits'),
    format: String,
  },
  BODY: {
    field: 'body',
    extensions: ['8BITMIME', 'BINARYMIME'],
    needs: value => (value?.toUpperCase() === 'BINARYMIME' ? 'BINARYMIME' : null),
    clause: 'RFC 6152 §2, RFC 3030 §3',
    parse: value => {
      const body = value?.toUpperCase()
      return body === '7BIT' || body === '8BITMIME' || body === 'BINARYMIME' ? { body } : 'BODY takes 7BIT or 8BITMIME'
    },
    format: String,
  },
  SMTPUTF8: {
    field: 'smtputf8',
    extensions: ['SMTPUTF8'],
    clause: 'RFC 6531 §3.4',
    parse: value => (value === null ? { smtputf8: true } : 'SMTPUTF8 takes no value'),
    format: () => null,
  },
  RET: {
    field: 'ret',
    extensions: ['DSN'],
    clause: 'RFC 3461 §4.3',
    parse: value => {
      const ret = value?.toUpperCase()
      return ret === 'FULL' || ret === 'HDRS' ? { ret } : 'RET takes FULL or HDRS'
    },
    format: String,
  },
  ENVID: { field: 'envid', extensions: ['DSN'], clause: 'RFC 3461 §4.4', parse: parseEnvid, format: encodeXtext },
  AUTH: {
    field: 'auth',
    extensions: ['AUTH'],
    clause: 'RFC 4954 §5',
    parse: parseAuth,
    format: auth => (auth === '' ? '<>' : encodeXtext(auth)),
  },
  REQUIRETLS: {
    field: 'requiretls',
    extensions: ['REQUIRETLS'],
    clause: 'RFC 8689 §2',
    parse: value => (value === null ? { requiretls: true } : 'REQUIRETLS takes no value'),
    format: () => null,
  },
  'MT-PRIORITY': {
    field: 'mtPriority',
    extensions: ['MT-PRIORITY'],
    clause: 'RFC 6710 §4.1',
    parse: value => (/^(?:0|-?[1-9])$/.test(value ?? '') ? { mtPriority: Number(value) } : 'MT-PRIORITY takes -9 to 9'),
    format: String,
  },
  BY: {
    field: 'deliverBy',
    extensions: ['DELIVERBY'],
    clause: 'RFC 2852 §4',
    parse: parseBy,
    format: ({ seconds, mode, trace }) => `${seconds};${mode}${trace ? 'T' : ''}`,
  },
  HOLDFOR: {
    field: 'holdFor',
    extensions: ['FUTURERELEASE'],
    clause: 'RFC 4865 §4',
    parse: value => (/^\d{1,9}$/.test(value ?? '') ? { holdFor: Number(value) } : 'HOLDFOR takes 1 to 9 digits'),
    format: String,
  },
  HOLDUNTIL: {
    field: 'holdUntil',
    extensions: ['FUTURERELEASE'],
    clause: 'RFC 4865 §4',
    parse: value => {
      const holdUntil = parseDateTime(value ?? '')
      return holdUntil === null ? 'HOLDUNTIL takes a date-time' : { holdUntil }
    },
    format: formatDateTime,
  },
} as const satisfies Record<MailKeyword, AnyRow<MailParameters>>

const TABLE: ParameterTable<MailParameters> = new Map(Object.entries(ROWS))

/**
 * Parses the parameters of a MAIL command, `given` split by `parseParameters`, by the extensions that this client was
 * offered. HOLDFOR and HOLDUNTIL exclude each other [RFC 4865 §4]. Does not check whether the session allows what they
 * ask for (a size, REQUIRETLS without TLS). `lenient` takes any AUTH. Never throws.
 */
export function parseMailParameters(
  given: ReadonlyMap<string, string | null>,
  offered: ReadonlySet<Extension>,
  strictness: Strictness = 'strict',
): ParsedRows<MailParameters> {
  const parsed = parseRows(TABLE, given, offered, strictness)
  if (!parsed.ok || !holdsTwice(parsed.parameters)) return parsed
  return { ok: false, error: { kind: 'syntax', keyword: 'HOLDUNTIL', problem: HOLDS_TWICE } }
}

/**
 * Formats the parameters of a MAIL command for a server that offered these extensions: `'SIZE=1 BODY=8BITMIME'`, `''`
 * if there are none. {@link parseMailParameters} reads the same from it.
 *
 * @throws {MailHandlerError} `ERR_NOT_OFFERED` for a parameter of another extension, `ERR_OPTION` for a value that
 *   cannot be written.
 */
export function formatMailParameters(parameters: MailParameters, offered: ReadonlySet<Extension>): string {
  if (holdsTwice(parameters)) throw wrong(HOLDS_TWICE)
  return formatRows(TABLE, parameters, offered)
}

const HOLDS_TWICE = 'HOLDFOR and HOLDUNTIL exclude each other'

function holdsTwice({ holdFor, holdUntil }: MailParameters): boolean {
  return holdFor !== undefined && holdUntil !== undefined
}

function parseEnvid(value: string | null): Partial<MailParameters> | string {
  if (value === null) return 'ENVID takes a value'
  if (value.length > ENVID_LENGTH) return `ENVID takes at most ${ENVID_LENGTH} characters`
  const decoded = decodeXtext(value)
  return decoded.ok && /^[ -~]+$/.test(decoded.text) ? { envid: decoded.text } : 'ENVID takes xtext of printable ASCII'
}

function parseAuth(
  value: string | null,
  offered: ReadonlySet<Extension>,
  strictness: Strictness,
): Partial<MailParameters> | string {
  const decoded = decodeXtext(value ?? '')
  if (decoded.ok && decoded.text === '<>') return { auth: '' }
  const isLenient = strictness === 'lenient'
  const text = decoded.ok ? decoded.text : (value ?? '')
  const mailbox = isLenient ? text.replace(/^<(.*)>$/, '$1') : text
  const isMailbox = parseMailbox(mailbox, { utf8: offered.has('SMTPUTF8'), strictness: 'strict' }).ok
  if (isMailbox && (decoded.ok || isLenient)) return { auth: mailbox }
  // Who submitted it is unknown then: AUTH=<>. [RFC 4954 §5]
  return isLenient ? { auth: '' } : 'AUTH takes <> or a mailbox as xtext'
}

function parseBy(value: string | null): Partial<MailParameters> | string {
  const [, time, mode, trace] = /^([+-]?\d{1,9});([NR])(T?)$/i.exec(value ?? '') ?? []
  if (time === undefined || mode === undefined) return 'BY takes seconds;N or seconds;R, then T or nothing'
  const seconds = Number(time)
  const returns = mode.toUpperCase() === 'R'
  if (returns && seconds <= 0) return 'BY with R takes more than 0 seconds' // [RFC 2852 §4]
  return { deliverBy: { seconds: seconds === 0 ? 0 : seconds, mode: returns ? 'R' : 'N', trace: trace !== '' } }
}
