// The options of `mailhandler catch`.

import { resolve } from 'node:path'
import type { TlsOptions } from '../../tls/tls-options.ts'
import { wrong } from '../../words/option-checks.ts'
import { quote, UsageError, type CommandLine } from '../command-line.ts'
import { readTextFile } from '../read-text-file.ts'
import { readListenAddress, readSize } from '../config/units.ts'
import { readRules } from './rule-json.ts'

/** An address to listen at. */
interface Place {
  readonly host: string
  readonly port: number
}

/** What the command is asked for. */
export interface CatchSettings {
  readonly smtp: Place
  readonly page: Place
  /** Null: in memory. */
  readonly folder: string | null
  readonly messages: number
  readonly octets: number
  readonly rules: ReturnType<typeof readRules>
  /** Null: no STARTTLS. */
  readonly tls: TlsOptions | null
  /** Host names by which browsers may open the page. */
  readonly hosts: readonly string[]
}

/** Reads the options. Throws a UsageError, or an error that names the file. */
export function readCatchOptions({ values }: CommandLine): CatchSettings {
  const value = (name: string): string | undefined => values.get(name)?.at(-1)
  const [folder, rules] = [value('folder'), value('rules')]
  return {
    smtp: place('listen', value('listen') ?? EXAMPLES.listen),
    page: place('page', value('page') ?? EXAMPLES.page),
    folder: folder === undefined ? null : resolve(folder),
    messages: amount(
      'messages',
      value('messages'),
      10_000,
      text => (/^\d{1,7}$/.test(text) ? Number(text) : null),
      MESSAGES,
    ),
    octets: amount('size', value('size'), 256 * 2 ** 20, readSize, SIZE),
    rules: rules === undefined ? { rules: [], policy: null } : rulesOf(rules),
    tls: tlsOf(value('cert'), value('key')),
    hosts: (values.get('host') ?? []).map(hostName),
  }
}

const MESSAGES = 'a number from 1 to 9999999'
const SIZE = 'a size above 0, such as 256MiB'
const EXAMPLES = { listen: '127.0.0.1:1025', page: '127.0.0.1:8025' } as const

function place(option: keyof typeof EXAMPLES, text: string): Place {
  const address = readListenAddress(text)
  if (address !== null && address.systemd === undefined) return address
  throw new UsageError(`--${option} takes HOST:PORT, not ${quote(text)}; such as ${EXAMPLES[option]}`)
}

function amount(
  option: string,
  text: string | undefined,
  byDefault: number,
  read: (text: string) => number | null,
  takes: string,
): number {
  if (text === undefined) return byDefault
  const number = read(text)
  if (number !== null && number > 0) return number
  throw new UsageError(`--${option} takes ${takes}, not ${quote(text)}`)
}

function rulesOf(file: string): CatchSettings['rules'] {
  const text = readTextFile(file)
  try {
    return readRules((JSON.parse(text) as { rules?: unknown } | null)?.rules)
  } catch (cause) {
    throw new Error(`${file}: ${(cause as Error).message}`, { cause })
  }
}

function tlsOf(cert: string | undefined, key: string | undefined): TlsOptions | null {
  if (cert === undefined && key === undefined) return null
  if (cert === undefined || key === undefined) throw new UsageError('--cert and --key go together')
  return { cert: readPem(cert), key: readPem(key) }
}

function readPem(file: string): string {
  const text = readTextFile(file)
  if (text.includes('-----BEGIN ')) return text
  throw wrong(`${file} is not PEM: it has no line that begins with -----BEGIN`)
}

function hostName(text: string): string {
  if (/^[\w.-]+$/.test(text)) return text
  throw new UsageError(`--host takes a host name without a port, not ${quote(text)}`)
}
