// `mailhandler init`: four questions, and a configuration that was checked.

import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { UsageError } from './command-line.ts'
import { DEFAULT_FILE } from './find-config.ts'
import { loadConfig } from './config/load.ts'
import { ConfigError } from './config/problems.ts'
import { DEFAULT_LISTEN } from './config/schema.ts'
import { makeSettings } from './settings.ts'

/** Asks a person; resolves with the answer, empty for the default. */
export type Ask = (question: string) => Promise<string>

interface Question {
  readonly option: keyof Answers
  readonly text: string
  readonly fallback: string
}

const QUESTIONS: readonly Question[] = [
  {
    option: 'domain',
    text: 'For which domains is mail accepted? With commas; empty for any, on this machine alone',
    fallback: '',
  },
  {
    option: 'to',
    text: 'Where does it go? A Maildir, "/var/mail/{domain}/{local}", the host:port of a mail server, or the https address of a service',
    fallback: 'Maildir',
  },
  { option: 'listen', text: 'Where to listen?', fallback: DEFAULT_LISTEN },
  { option: 'tls', text: 'Certificate and key in PEM, with a comma between them; empty for no TLS', fallback: '' },
]

/** The answers, by the name of the option. */
export type Answers = Readonly<Record<'domain' | 'to' | 'listen' | 'tls', string>>

/** What looks like a place that init does not know: a URL of another kind, a host without a port or with another text there. */
const UNKNOWN_PLACE =
  /^(?!https?:)[a-z][a-z0-9+.-]*:\/\/|^\d+(?:\.\d+){3}$|^localhost$|^(?:[a-z0-9-]+\.)+[a-z]{2,}$|^[^/]*:(?!\d+$)[^/]*$/i

/** Gets the answers: from options, else from a person, else the default. */
export async function askAll(given: ReadonlyMap<string, readonly string[]>, ask: Ask | null): Promise<Answers> {
  const answers: Record<string, string> = {}
  for (const { option, text, fallback } of QUESTIONS) {
    const said = given.get(option)
    const shown = fallback === '' ? '' : ` [${fallback}]`
    const answer = said?.join(',') ?? (ask === null ? '' : (await ask(`${text}${shown}: `)).trim())
    answers[option] = answer === '' ? fallback : answer
    if (option === 'to' && UNKNOWN_PLACE.test(answers[option])) {
      throw new UsageError(
        `--to ${answers[option]}: a mail server is host:port, a service https://…, a Maildir a path such as ./Maildir`,
      )
    }
    if (option === 'tls' && ![0, 2].includes(words(answers[option]).length)) {
      throw new UsageError(`--tls ${answers[option]}: two files with a comma between them, the certificate and its key`)
    }
  }
  return answers as Answers
}

/** Makes the text of the configuration. */
export function configText({ domain, to, listen, tls }: Answers): string {
  const domains = words(domain)
  const [cert, key] = words(tls)
  const place = destination(to)
  const parts = [
    '# A configuration of mailhandler. docs/configuration.md and examples/mailhandler.toml have every key.\n',
    ...(place.table === null ? [place.text] : []),
    `[[listen]]\naddress = ${quote(listen)}\n`,
    ...(domains.length === 0
      ? []
      : [`# Mail for others is refused.\n[recipients]\ndomains = [${domains.map(quote).join(', ')}]\n`]),
    ...(place.table === null ? [] : [place.text]),
    ...(cert === undefined ? [] : [`[tls]\ncert = ${quote(cert)}\nkey = ${quote(key ?? '')}\n`]),
  ]
  return parts.join('\n')
}

/** Writes the configuration, if it is good and there is no such file. Throws an Error that says what is wrong. */
export function writeConfig(file: string, answers: Answers): void {
  const text = configText(answers)
  checkText(file, text)
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o644 })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const what = code === 'EEXIST' ? `${file} exists already: it is not overwritten` : message
    throw new Error(what, { cause: error })
  }
}

/** The options by the keys that they become. */
const OPTIONS: readonly (readonly [key: RegExp, option: string])[] = [
  [/^recipients/, '--domain'],
  [/^listen/, '--listen'],
  [/^tls/, '--tls'],
  [/^(?:maildir|delivery|upstream)/, '--to'],
]

/** Throws a ConfigError that names options, since the file is not there to look at. */
function checkText(file: string, text: string): void {
  try {
    makeSettings(loadConfig(file, text)).close()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(
      error.problems.map(({ key, where, what }) => {
        const option = OPTIONS.find(([its]) => key !== null && its.test(key))?.[1]
        const said = what.replaceAll(/recipients\.domains(.*), \["\*"\] for any/g, '--domain$1, "*" for any')
        return option === undefined ? { key, where, what: said } : { key: null, where: option, what: said }
      }),
    )
  }
}

/** Runs the command; returns what to tell. */
export async function init(file: string, given: ReadonlyMap<string, readonly string[]>): Promise<string> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY
  const people = isTerminal ? createInterface({ input: process.stdin, output: process.stdout }) : null
  try {
    writeConfig(resolve(file), await askAll(given, people === null ? null : asker(people)))
  } finally {
    people?.close()
  }
  return `${file} is written, and good. Next: mailhandler serve${file === DEFAULT_FILE ? '' : ` --config ${file}`}\n`
}

/** Asks line by line. Lines that come before they are asked for are kept, as those that are pasted. */
function asker(people: Interface): Ask {
  const lines = people[Symbol.asyncIterator]()
  return async question => {
    people.setPrompt(question)
    people.prompt()
    const next: IteratorResult<string, undefined> = await lines.next()
    return next.value ?? ''
  }
}

/** Where messages go, as a piece of the configuration: a key of the top level, which comes first, or a table. */
function destination(to: string): { readonly table: string | null; readonly text: string } {
  const [table, key] = keyFor(to)
  const head = table === null ? '' : `[${table}]\n`
  // Without a word of this the first mail to a new server is refused.
  const whose = to.includes('{local}') ? ' A recipient needs its folder there, or a line in recipients_file.' : ''
  return { table, text: `# Where messages go.${whose}\n${head}${key} = ${quote(to)}\n` }
}

function keyFor(to: string): readonly [table: string | null, key: string] {
  if (/^https?:/.test(to)) return ['delivery.webhook', 'url']
  if (to.includes('{local}')) return ['delivery', 'maildir']
  return /^[^/]+:\d+$/.test(to) ? ['upstream', 'address'] : [null, 'maildir']
}

function words(text: string): string[] {
  return text
    .split(',')
    .map(word => word.trim())
    .filter(word => word !== '')
}

/** As TOML reads it. */
function quote(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007f')
}
