#!/usr/bin/env node
// The command `mailhandler`. It ends with 0, with 1 where something is wrong with the configuration or the machine, with
// 2 where it is the command line.

import { helpText, readCommandLine, UsageError, type CommandLine, type CommandName } from './command-line.ts'
import { version } from './version.ts'

const WRONG = 1
const USAGE = 2
const LONGEST_PASSWORD = 4096

async function run(argv: readonly string[]): Promise<number> {
  const commandLine = readCommandLine(argv)
  switch (commandLine.command) {
    case 'serve':
      return (await import('./serve.ts')).serve(commandLine)
    case 'check':
      return check(commandLine)
    case 'password':
      return password(commandLine)
    case 'version':
      return print(`${version()}\n`)
    default:
      return print(helpText(helpFor(commandLine.words[0])))
  }
}

async function check(commandLine: CommandLine): Promise<number> {
  const { checkConfig } = await import('./check.ts')
  const problems = checkConfig(commandLine)
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  if (problems.length > 0) return WRONG
  return print(`${commandLine.config ?? 'the default configuration'}: good\n`)
}

async function password({ words: [user] }: CommandLine): Promise<number> {
  if (user === undefined || user.includes(':'))
    throw new UsageError('password takes the name of a user, without a colon')
  const { userLine } = await import('./users.ts')
  let text = ''
  process.stdin.setEncoding('utf8')
  for await (const chunk of process.stdin) {
    text += String(chunk)
    if (text.length > LONGEST_PASSWORD) throw new UsageError('the password is too long')
  }
  return print(`${await userLine(user, text.replace(/\r?\n$/, ''))}\n`)
}

function helpFor(word: string | undefined): CommandName | null {
  return word === undefined ? null : readCommandLine([word]).command
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

run(process.argv.slice(2)).then(
  code => {
    process.exitCode = code
    process.disconnect?.()
  },
  (error: Error) => {
    const usage = error instanceof UsageError
    const hint = usage ? ' (mailhandler help tells more)' : ''
    // What people can mend has a text for them; all else is a fault of this program, and needs its stack.
    const known =
      usage || ['ConfigError', 'ListenError', 'MailHandlerError'].includes(error.name) || error.cause !== undefined
    process.stderr.write(
      `mailhandler: ${known ? error.message.replaceAll('\n', '\nmailhandler: ') : error.stack}${hint}\n`,
    )
    process.exitCode = usage ? USAGE : WRONG
    process.disconnect?.()
  },
)
