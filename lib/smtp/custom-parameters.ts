// Parameters of MAIL and RCPT that a program adds: `parameters: { mail: { 'X-FOO': parse } }`. [RFC 5321 §2.2.1]

import { checkKeys, wrong } from '../words/option-checks.ts'

/** Reads the value of a parameter, null if it has none. Throws an `SmtpError` to refuse it. */
export type ParseParameter = (value: string | null) => unknown

/** Parsers by keyword, in upper case: letters, digits and hyphens. EHLO lists the keywords. */
export interface ParameterOptions {
  /** For MAIL; the results are in `sender.parameters.custom` and `envelope.parameters.custom`. */
  readonly mail?: Readonly<Record<string, ParseParameter>>
  /** For RCPT; the results are in `recipient.parameters.custom`. */
  readonly rcpt?: Readonly<Record<string, ParseParameter>>
}

/** The parameters of a program in a command, by keyword, as their parsers returned them. */
export interface CustomParameters {
  /** Only what the client gave; absent if the command had none of them. */
  readonly custom?: ReadonlyMap<string, unknown>
}

/** {@link ParameterOptions}, checked. */
export interface ResolvedParameters {
  readonly mail: ReadonlyMap<string, ParseParameter>
  readonly rcpt: ReadonlyMap<string, ParseParameter>
  /** For EHLO. */
  readonly keywords: readonly string[]
}

/** [RFC 5321 §4.1.1.1, ehlo-keyword] */
const KEYWORD = /^[A-Z0-9][A-Z0-9-]{0,63}$/
const KNOWN: ReadonlySet<string> = new Set(
  'SIZE BODY SMTPUTF8 RET ENVID AUTH REQUIRETLS MT-PRIORITY BY HOLDFOR HOLDUNTIL NOTIFY ORCPT RRVS'.split(' '),
)

/** Checks the option. Throws `ERR_OPTION`. */
export function resolveParameters(options: ParameterOptions = {}): ResolvedParameters {
  checkKeys('parameters', options, ['mail', 'rcpt'])
  const mail = table('mail', options.mail)
  const rcpt = table('rcpt', options.rcpt)
  return Object.freeze({ mail, rcpt, keywords: Object.freeze([...new Set([...mail.keys(), ...rcpt.keys()])]) })
}

function table(command: string, given: ParameterOptions['mail'] = {}): ReadonlyMap<string, ParseParameter> {
  checkKeys(`parameters.${command}`, given, Object.keys(given))
  for (const [keyword, parse] of Object.entries(given)) {
    const name = `parameters.${command}.${keyword}`
    if (!KEYWORD.test(keyword)) throw wrong(`${name}: a keyword has capitals, digits and hyphens`)
    if (KNOWN.has(keyword)) throw wrong(`${name}: the session knows this parameter itself`)
    if (typeof parse !== 'function') throw wrong(`${name} is a function that reads the value`)
  }
  return new Map(Object.entries(given))
}

/** Parts the parameters of a program from those that the session knows itself, and reads them. */
export function readCustom(
  given: ReadonlyMap<string, string | null>,
  parsers: ReadonlyMap<string, ParseParameter>,
): { readonly custom: ReadonlyMap<string, unknown>; readonly others: ReadonlyMap<string, string | null> } {
  const custom = new Map<string, unknown>()
  const others = new Map<string, string | null>()
  for (const [keyword, value] of given) {
    const parse = parsers.get(keyword)
    if (parse === undefined) others.set(keyword, value)
    else custom.set(keyword, parse(value))
  }
  return { custom, others }
}
