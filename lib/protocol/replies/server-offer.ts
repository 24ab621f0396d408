// What a server offers: its reply to EHLO, parsed.

/** What a server offered in its reply to EHLO or LHLO; after HELO nothing. Its text is the server's. [RFC 5321 §4.1.1.1] */
export interface ServerOffer {
  /** The server's name, the first word of its reply. */
  readonly name: string
  /** False after HELO. */
  readonly esmtp: boolean
  /** The parameters of each extension by its keyword in upper case: `'SIZE'` → `['1000']`. */
  readonly extensions: ReadonlyMap<string, readonly string[]>
  /** The greatest size of a message in octets; null if the server does not tell or has no limit. [RFC 1870 §3] */
  readonly size: number | null
  /** SASL mechanisms in upper case. [RFC 4954 §3] */
  readonly auth: readonly string[]
  /** The limits that the server tells, by their names: `RCPTMAX`, `MAILMAX`, `RCPTDOMAINMAX`. [RFC 9422] */
  readonly limits: ReadonlyMap<string, number>
}

const KEYWORD = /^[A-Z0-9][A-Z0-9-]*$/
const LIMIT = /^([A-Z0-9][A-Z0-9-]*)=(\d{1,6})$/i

/** Parses the lines of a positive reply to EHLO or LHLO. What does not follow the grammar is left out. Never throws. */
export function parseOffer(lines: readonly string[]): ServerOffer {
  const extensions = new Map<string, string[]>()
  for (const line of lines.slice(1)) {
    const [first = '', ...parameters] = words(line)
    // AUTH=LOGIN is what some servers wrote for old clients, beside AUTH LOGIN or without it.
    const old = /^AUTH=(.*)$/i.exec(first)
    const keyword = old === null ? first.toUpperCase() : 'AUTH'
    if (!KEYWORD.test(keyword)) continue
    const known = extensions.get(keyword) ?? []
    extensions.set(keyword, [...known, ...(old?.[1] ? [old[1]] : []), ...parameters])
  }
  const size = Number(/^\d{1,20}$/.exec(extensions.get('SIZE')?.[0] ?? '')?.[0] ?? 0)
  return Object.freeze({
    name: words(lines[0] ?? '')[0] ?? '',
    esmtp: true,
    extensions,
    size: size === 0 ? null : size,
    auth: [...new Set(extensions.get('AUTH')?.map(name => name.toUpperCase()))],
    limits: new Map((extensions.get('LIMITS') ?? []).flatMap(readLimit)),
  })
}

/** The offer after HELO. */
export function noOffer(lines: readonly string[]): ServerOffer {
  return Object.freeze({ ...parseOffer(lines.slice(0, 1)), esmtp: false })
}

function readLimit(word: string): [string, number][] {
  const [, name, value] = LIMIT.exec(word) ?? []
  return name === undefined ? [] : [[name.toUpperCase(), Number(value)]]
}

function words(line: string): string[] {
  return line.split(' ').filter(word => word !== '')
}
