// Runs the command line. Exits with 0, with 1 if something is wrong with the configuration or the machine, with 2 if it is
// the command line.

import { helpText, readCommandLine, UsageError, type CommandLine, type CommandName } from './command-line.ts'
import { DEFAULT_FILE, findConfig } from './find-config.ts'
import { closeLogs } from '../log/line-log.ts'
import { tellPeople } from './log/people.ts'
import { print } from './output.ts'
import { readTextFile } from './read-text-file.ts'
import { version } from './version.ts'
import { workerNumber } from './worker-environment.ts'

const WRONG = 1
const USAGE = 2

async function run(argv: readonly string[]): Promise<number> {
  const commandLine = readCommandLine(argv)
  switch (commandLine.command) {
    case 'serve':
      return (await import('./serve.ts')).serve(withConfig(commandLine))
    case 'check':
      return check(withConfig(commandLine))
    case 'catch':
      return (await import('./catch/catch-command.ts')).catchCommand(commandLine, text => print(process.stdout, text))
    case 'init':
      return answer(await (await import('./init.ts')).init(commandLine.words[0] ?? DEFAULT_FILE, commandLine.values))
    case 'greylist':
      await (
        await import('./greylist-command.ts')
      ).greylistCommand(withConfig(commandLine), text => print(process.stdout, text))
      return 0
    case 'import-kamaelia':
      return importFile(commandLine.words[0])
    case 'password':
      return answer(`${await (await import('./password.ts')).passwordLine(commandLine.words[0])}\n`)
    case 'version':
      return answer(`${version()}\n`)
    default:
      return answer(helpText(helpFor(commandLine.words[0])))
  }
}

async function check(commandLine: CommandLine): Promise<number> {
  const { checkConfig } = await import('./check.ts')
  const { facts, problems, notes } = await checkConfig(commandLine)
  if (facts.length > 0) await answer(`${facts.join('\n')}\n`)
  for (const line of [...problems, ...notes.map(note => `note: ${note}`)]) await print(process.stderr, `${line}\n`)
  if (problems.length > 0) return WRONG
  const { config } = commandLine
  if (config !== null) return answer(`${config}: good\n`)
  return answer(`the default configuration: good; no --config, and no ${DEFAULT_FILE} in ${process.cwd()}\n`)
}

/** Adds the configuration in this folder if the command line names none. A worker has been told which it is. */
function withConfig(commandLine: CommandLine): CommandLine {
  const { config } = commandLine
  return { ...commandLine, config: config ?? (workerNumber() === null ? findConfig() : null) }
}

async function importFile(file: string | undefined): Promise<number> {
  if (file === undefined) throw new UsageError('import-kamaelia takes a file')
  const { importKamaelia } = await import('./import-kamaelia.ts')
  return answer(importKamaelia(readTextFile(file)))
}

function helpFor(word: string | undefined): CommandName | null {
  return word === undefined ? null : readCommandLine([word]).command
}

/** Prints what the command was asked for. */
async function answer(text: string): Promise<number> {
  return (await print(process.stdout, text)) ? 0 : WRONG
}

function fail(error: Error): number {
  const usage = error instanceof UsageError
  const hint = usage && !error.message.includes('mailhandler help') ? ' (mailhandler help tells more)' : ''
  // What people can mend has a text for them; all else is a fault of this program, and needs its stack.
  const known =
    usage ||
    ['ConfigError', 'ListenError', 'MailHandlerError', 'StoreError'].includes(error.name) ||
    error.cause !== undefined
  tellPeople(`mailhandler: ${known ? error.message.replaceAll('\n', '\nmailhandler: ') : error.stack}${hint}`)
  return usage ? USAGE : WRONG
}

const code = await run(process.argv.slice(2)).catch(fail)
await closeLogs()
// Nothing that is left may keep the process alive: a write to a pipe that nobody reads would.
process.exit(code)
