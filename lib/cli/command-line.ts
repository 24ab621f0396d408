// Parses the command line, and prints its help: the commands and their options.

import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { CATCH_HELP, HELP, INIT_HELP, type CommandHelp, type Option } from './command-help.ts'
import type { OwnParts, Override } from './config/load.ts'
import { nearest } from '../words/nearest.ts'
import { printable } from '../words/printable.ts'

/** A wrong command line. The message says what is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The name of a command. */
export type CommandName =
  | 'serve'
  | 'check'
  | 'init'
  | 'catch'
  | 'greylist'
  | 'import-kamaelia'
  | 'password'
  | 'version'
  | 'help'

const CONFIG: Option = {
  takes: 'FILE',
  short: 'c',
  help: 'the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)',
}
const last = (words: readonly string[]): string => words.at(-1) ?? ''

const SETTINGS: Readonly<Record<string, Option>> = {
  config: CONFIG,
  listen: {
    takes: 'HOST:PORT',
    short: 'l',
    several: true,
    help: 'listen here instead; may be given several times (default 127.0.0.1:2525)',
    key: ['listen'],
    read: words => words.map(address => ({ address })),
  },
  maildir: {
    takes: 'DIR',
    short: 'm',
    help: 'deliver to this Maildir (default ./Maildir)',
    key: ['maildir'],
    read: words => resolve(last(words)),
  },
  upstream: {
    takes: 'HOST:PORT',
    short: 'u',
    several: true,
    help: 'pass mail on to this server, instead of to a Maildir; several are tried in their order',
    key: ['upstream', 'address'],
    read: words => (words.length === 1 ? last(words) : [...words]),
  },
  domain: {
    takes: 'DOMAIN',
    short: 'd',
    several: true,
    help: 'accept mail for this domain; may be given several times',
    key: ['recipients', 'domains'],
    read: words => [...words],
  },
  name: { takes: 'HOST', help: 'the name in the greeting (default the name of this host)', key: ['name'], read: last },
  workers: {
    takes: 'N',
    short: 'w',
    help: 'processes that share the work (default 1)',
    key: ['workers'],
    read: words => (/^\d+$/.test(last(words)) ? Number(last(words)) : last(words)),
  },
  'log-level': {
    takes: 'LEVEL',
    help: 'debug, info, warn, error or silent (default info)',
    key: ['log', 'level'],
    read: last,
  },
  metrics: {
    takes: 'HOST:PORT',
    help: 'serve /metrics, /healthz and /readyz here (default: nowhere)',
    key: ['metrics', 'listen'],
    read: last,
  },
  help: HELP,
}

/** Every command. The help, the manual page and the completion are made of it. */
export const COMMANDS: Readonly<Record<CommandName, CommandHelp>> = {
  serve: {
    summary: 'receive mail until told to stop',
    text: 'Options override the configuration. SIGHUP reads the configuration and certificates again\nand reopens the logs. SIGTERM and SIGINT end the server once the messages under way are done; a second signal ends it\nat once.',
    options: SETTINGS,
  },
  check: {
    summary: 'say what is wrong with a configuration',
    text: 'Takes the options of serve. Exits with 0 if the configuration is good, with 1 if it is not. As root, it checks with the\nrights of the configured user. With --connect it also opens a session with each server of an upstream, as far as AUTH,\nand says what it offers; no mail is sent.',
    options: {
      ...SETTINGS,
      connect: { help: 'connect to each upstream: say what it offers, and whether TLS and AUTH work' },
    },
  },
  catch: CATCH_HELP,
  init: INIT_HELP,
  greylist: {
    summary: 'show and change what greylisting knows',
    text: 'mailhandler greylist stats            how many clients wait and have passed, and how long they waited\nmailhandler greylist list [CLIENT]    every entry, or those of a client, with tabs between the columns\nmailhandler greylist show CLIENT      what is known of a client, in words\nmailhandler greylist allow CLIENT     the client is past greylisting, as long as its use renews that\nmailhandler greylist forget CLIENT    the client begins again\nmailhandler greylist export           print every entry, for a store with the same salt\nmailhandler greylist import FILE      take an export, or what db5.3_dump -p prints of postgrey.db and postgrey_clients.db;\n                                      what the store has newer stays\nmailhandler greylist report           is it worth it: what was held, delayed and for how long, and by which sign; with --log\n                                      what was stopped too; in mode observe, what would have been held\n\nCLIENT is an address, the name of a host, or a key as the list shows it. The server may run meanwhile; run this as its user.',
    options: {
      config: CONFIG,
      log: {
        takes: 'FILE',
        several: true,
        help: 'report: read this log too, in JSON, - for standard input; may be given several times',
      },
      json: { help: 'report: print JSON' },
      help: HELP,
    },
  },
  'import-kamaelia': {
    summary: 'print the configuration for a greylist.conf of Kamaelia Grey',
    text: 'mailhandler import-kamaelia FILE prints TOML, with a comment for what means another thing now.',
    options: { help: HELP },
  },
  password: {
    summary: 'make a line for the file of users',
    text: 'mailhandler password USER asks for a password, or reads it from standard input, and prints the line for the file that\nauth.users names. The line is enough to check a password, not to log in.',
    options: { help: HELP },
  },
  version: { summary: 'show the version', text: '', options: { help: HELP } },
  help: { summary: 'show this help, or that of a command', text: '', options: { help: HELP } },
}

const OPERANDS: Readonly<Partial<Record<CommandName, string>>> = {
  init: ' [FILE]',
  greylist: ' stats | list | show | allow | forget | export | import | report [CLIENT | FILE]',
  'import-kamaelia': ' FILE',
  password: ' USER',
  help: ' [COMMAND]',
}

/** A parsed command line. */
export interface CommandLine {
  readonly command: CommandName
  /** The configuration file. */
  readonly config: string | null
  readonly overrides: readonly Override[]
  /** What a program adds that serves by itself. */
  readonly own?: OwnParts
  /** `check` connects to upstreams. */
  readonly connect: boolean
  /** Logs that `greylist report` reads. */
  readonly logs: readonly string[]
  /** `greylist report` prints JSON. */
  readonly json: boolean
  /** The operands: what is not an option. */
  readonly words: readonly string[]
  /** The options as they were given. */
  readonly values: ReadonlyMap<string, readonly string[]>
}

/** Parses a command line, without the program and the script. Throws a UsageError. */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const [first = 'help', ...rest] = argv
  if (first === '--version' || first === '-V') return bare('version')
  if (first === '--help' || first === '-h') return bare('help')
  if (!Object.hasOwn(COMMANDS, first)) {
    const near = nearest(first, Object.keys(COMMANDS))
    throw new UsageError(`there is no command ${quote(first)}${near === null ? '' : `; did you mean ${near}?`}`)
  }
  const command = first as CommandName
  const { values, words } = readOptions(command, rest)
  if (values.has('help')) return bare('help', [command])
  const most = command === 'greylist' ? 2 : OPERANDS[command] === undefined ? 0 : 1
  if (words.length > most) throw new UsageError(`${command} does not take ${quote(words[most]!)}`)
  const overrides: Override[] = []
  for (const [name, given] of values) {
    const { key, read } = optionsOf(command)[name]!
    if (key !== undefined && read !== undefined) overrides.push({ option: `--${name}`, path: key, value: read(given) })
  }
  return {
    ...bare(command, words),
    config: values.get('config')?.at(-1) ?? null,
    overrides,
    connect: values.has('connect'),
    logs: values.get('log') ?? [],
    json: values.has('json'),
    values,
  }
}

/** Returns the help of a command, or of all commands. */
export function helpText(command: CommandName | null): string {
  if (command === null) {
    const rows = Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const)
    return `mailhandler receives mail over SMTP.\n\nUsage: mailhandler COMMAND [OPTIONS]\n\n${columns(rows)}\n\nmailhandler help COMMAND tells more.\n`
  }
  const { summary, text } = COMMANDS[command]
  const operand = operandOf(command)
  const rows = Object.entries(optionsOf(command)).map(([name, option]) => {
    const short = option.short === undefined ? '    ' : `-${option.short}, `
    return [`${short}--${name}${option.takes === undefined ? '' : ` ${option.takes}`}`, option.help] as const
  })
  const about = text === '' ? '' : `\n${text}\n`
  return `mailhandler ${command}: ${summary}\n\nUsage: mailhandler ${command}${operand} [OPTIONS]\n\n${columns(rows)}\n${about}`
}

/** Returns what a command takes besides options, with a space before it. */
export function operandOf(command: CommandName): string {
  return OPERANDS[command] ?? ''
}

function readOptions(
  command: CommandName,
  args: readonly string[],
): { values: Map<string, string[]>; words: string[] } {
  const known = optionsOf(command)
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      Object.entries(known).map(([name, { takes, short }]) => {
        const type = takes === undefined ? ('boolean' as const) : ('string' as const)
        return [name, short === undefined ? { type } : { type, short }]
      }),
    ),
  })
  const values = new Map<string, string[]>()
  const words: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(known, token.name) ? known[token.name] : undefined
    if (option === undefined) throw unknownOption(command, token.rawName, known)
    if (option.takes === undefined && token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`)
    // A value that looks like an option is most likely a forgotten one.
    if (option.takes !== undefined && (token.value === undefined || (!token.inlineValue && /^-./.test(token.value)))) {
      throw new UsageError(`${token.rawName} takes ${option.takes}`)
    }
    // Most likely a variable of a script that is not set. An answer for init may be empty: it is the default.
    if (token.value === '' && command !== 'init') throw new UsageError(`${token.rawName} takes ${option.takes}, not ""`)
    const before = values.get(token.name)
    if (before !== undefined && option.takes !== undefined && option.several !== true) {
      throw new UsageError(`${token.rawName} is given twice`)
    }
    values.set(token.name, [...(before ?? []), token.value ?? ''])
  }
  return { values, words }
}

function unknownOption(command: CommandName, given: string, known: Readonly<Record<string, Option>>): UsageError {
  const word = given.replace(/^-+/, '')
  const other = Object.entries(known).find(([, { also }]) => also?.includes(word) === true)
  const near = nearest(word, Object.keys(known))
  let hint = `; mailhandler help ${command} lists its options`
  if (near !== null) hint = `; did you mean --${near}?`
  if (other !== undefined) hint = `; that is --${other[0]} ${other[1].takes}`
  return new UsageError(`${command} has no option ${quote(given)}${hint}`)
}

function optionsOf(command: CommandName): Readonly<Record<string, Option>> {
  return COMMANDS[command].options
}

function bare(command: CommandName, words: readonly string[] = []): CommandLine {
  return { command, config: null, overrides: [], connect: false, logs: [], json: false, words, values: new Map() }
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join('\n')
}

/** Shows what was typed. */
export function quote(text: string): string {
  return printable(JSON.stringify(text), 100)
}
