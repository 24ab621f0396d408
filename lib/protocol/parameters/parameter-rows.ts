// How a table of parameters is read: each keyword has a row, each row its extension, clause and parser.

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

/** One parameter. */
export interface ParameterRow<T> {
  /** The parameter is known where one of these was offered. */
  readonly extensions: readonly Extension[]
  /** The extension that this value needs, where that depends on the value. */
  readonly needs?: (value: string | null) => Extension | null
  readonly clause: string
  /** The typed part of the result, or what is wrong with the value. */
  readonly parse: (value: string | null, offered: ReadonlySet<Extension>) => Partial<T> | string
}

/** What is wrong with a parameter: `unknown` is answered with 555 5.5.4, `syntax` with 501 5.5.4. [RFC 5321 §4.1.1.11] */
export interface ExtensionError {
  readonly kind: 'unknown' | 'syntax'
  readonly keyword: string
  /** Fixed text, nothing of the value is in it. */
  readonly problem: string
}

/** The typed parameters, frozen, or the first error. */
export type ParsedRows<T> =
  | { readonly ok: true; readonly parameters: Readonly<T> }
  | { readonly ok: false; readonly error: ExtensionError }

/** Reads parameters by a table; {@link parseMailParameters} and {@link parseRcptParameters} are made of it. */
export function parseRows<T extends object>(
  rows: ReadonlyMap<string, ParameterRow<T>>,
  given: ReadonlyMap<string, string | null>,
  offered: ReadonlySet<Extension>,
): ParsedRows<T> {
  const parameters: Partial<T> = {}
  for (const [keyword, value] of given) {
    const row = rows.get(keyword)
    if (row === undefined || !row.extensions.some(extension => offered.has(extension))) {
      return fail('unknown', keyword, 'the parameter is not offered')
    }
    const needed = row.needs?.(value) ?? null
    if (needed !== null && !offered.has(needed)) return fail('unknown', keyword, 'the value is not offered')
    const parsed = row.parse(value, offered)
    if (typeof parsed === 'string') return fail('syntax', keyword, parsed)
    Object.assign(parameters, parsed)
  }
  // Each field of T is optional: a row adds what it knows.
  return { ok: true, parameters: Object.freeze(parameters) as Readonly<T> }
}

function fail<T>(kind: ExtensionError['kind'], keyword: string, problem: string): ParsedRows<T> {
  return { ok: false, error: { kind, keyword, problem } }
}
