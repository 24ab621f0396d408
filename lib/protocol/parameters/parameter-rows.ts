// Tables of parameters: a row for each keyword, with its extension, its clause, its parser and its formatter.

import { isDeepStrictEqual } from 'node:util'
import { MailHandlerError } from '../../words/errors.ts'
import { wrong } from '../../words/option-checks.ts'
import type { Strictness } from '../addresses/characters.ts'
import { parseParameters } from './parameters.ts'

/** The EHLO keywords of the extensions that add parameters to MAIL or RCPT. */
export type Extension =
  | 'SIZE'
  | '8BITMIME'
  | 'BINARYMIME'
  | 'SMTPUTF8'
  | 'DSN'
  | 'AUTH'
  | 'REQUIRETLS'
  | 'MT-PRIORITY'
  | 'DELIVERBY'
  | 'FUTURERELEASE'
  | 'RRVS'

/** One parameter; `field` is its name among the typed parameters. */
export interface ParameterRow<T, F extends keyof T> {
  readonly field: F
  /** The parameter is known if one of these was offered. */
  readonly extensions: readonly Extension[]
  /** The extension that this value needs, if that depends on the value. */
  readonly needs?: (value: string | null) => Extension | null
  readonly clause: string
  /** Returns the typed part of the result, or what is wrong with the value. */
  readonly parse: (value: string | null, offered: ReadonlySet<Extension>, strictness: Strictness) => Partial<T> | string
  /** Returns the value as text, null for a keyword without value. {@link formatRows} checks it by parsing it again. */
  readonly format: (value: NonNullable<T[F]>) => string | null
}

/** Any row of the table of `T`. */
export type AnyRow<T> = { readonly [F in keyof T]-?: ParameterRow<T, F> }[keyof T]

/** A table of rows by keyword in upper case. */
export type ParameterTable<T> = ReadonlyMap<string, AnyRow<T>>

/** What is wrong with a parameter: `unknown` is answered with 555 5.5.4, `syntax` with 501 5.5.4. [RFC 5321 §4.1.1.11] */
export interface ExtensionError {
  readonly kind: 'unknown' | 'syntax'
  readonly keyword: string
  /** Fixed text, without anything of the value. */
  readonly problem: string
}

/** The typed parameters, frozen, or the first error. */
export type ParsedRows<T> =
  | { readonly ok: true; readonly parameters: Readonly<T> }
  | { readonly ok: false; readonly error: ExtensionError }

/** Parses parameters by a table. Never throws. */
export function parseRows<T extends object>(
  table: ParameterTable<T>,
  given: ReadonlyMap<string, string | null>,
  offered: ReadonlySet<Extension>,
  strictness: Strictness,
): ParsedRows<T> {
  const parameters: Partial<T> = {}
  for (const [keyword, value] of given) {
    const row = table.get(keyword)
    if (row === undefined || !isOffered(row, offered)) return fail('unknown', keyword, 'the parameter is not offered')
    const needed = row.needs?.(value) ?? null
    if (needed !== null && !offered.has(needed)) return fail('unknown', keyword, 'this value is not offered')
    const parsed = row.parse(value, offered, strictness)
    if (typeof parsed === 'string') return fail('syntax', keyword, parsed)
    Object.assign(parameters, parsed)
  }
  // Each field of T is optional: a row adds the field that it knows.
  return { ok: true, parameters: Object.freeze(parameters) as Readonly<T> }
}

/**
 * Formats typed parameters by a table, `'SIZE=1 SMTPUTF8'`, in the order of the table; `''` if there are none. Each is
 * parsed again, so what is returned holds nothing that the same table would read differently.
 *
 * @throws {MailHandlerError} `ERR_NOT_OFFERED` if a parameter belongs to an extension that is not in `offered`,
 *   `ERR_OPTION` if a value cannot be written.
 */
export function formatRows<T extends object>(
  table: ParameterTable<T>,
  parameters: T,
  offered: ReadonlySet<Extension>,
): string {
  const words: string[] = []
  const unknown = new Set(Object.keys(parameters))
  for (const [keyword, row] of table) {
    unknown.delete(row.field as string)
    const value = parameters[row.field]
    if (value !== undefined) words.push(formatRow(keyword, row, value, offered))
  }
  for (const field of unknown) throw wrong(`there is no parameter ${JSON.stringify(field)}`)
  return words.join(' ')
}

function formatRow<T>(keyword: string, row: AnyRow<T>, value: unknown, offered: ReadonlySet<Extension>): string {
  const text = written(row, value)
  const needed = row.needs?.(text) ?? null
  if (!isOffered(row, offered) || (needed !== null && !offered.has(needed))) {
    throw new MailHandlerError('ERR_NOT_OFFERED', `the server does not offer ${needed ?? row.extensions.join(' or ')}`)
  }
  const word = text === null ? keyword : `${keyword}=${text}`
  const split = parseParameters(word, { utf8: false })
  if (!split.ok) throw wrong(`parameter ${String(row.field)}: ${split.error.problem}`)
  const parsed = row.parse(split.parameters.get(keyword) ?? null, offered, 'strict')
  if (typeof parsed === 'string') throw wrong(`parameter ${String(row.field)}: ${parsed}`)
  if (!isDeepStrictEqual(parsed[row.field], value)) throw wrong(`parameter ${String(row.field)} cannot be written`)
  return word
}

function written<T>(row: AnyRow<T>, value: unknown): string | null {
  try {
    return (row.format as (value: unknown) => string | null)(value)
  } catch (cause) {
    throw new MailHandlerError('ERR_OPTION', `parameter ${String(row.field)}: ${(cause as Error).message}`, { cause })
  }
}

function isOffered<T>(row: AnyRow<T>, offered: ReadonlySet<Extension>): boolean {
  return row.extensions.some(extension => offered.has(extension))
}

function fail<T>(kind: ExtensionError['kind'], keyword: string, problem: string): ParsedRows<T> {
  return { ok: false, error: { kind, keyword, problem } }
}
