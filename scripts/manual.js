// `npm run manual` writes the manual page and the completion for bash, zsh and fish into share/, from the table that the
// help is made of; with --check it fails where they differ from it.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { COMMANDS, operandOf } from '../dist/lib/cli/command-line.js'
import { bash, fish, zsh } from './completion.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const commands = Object.entries(COMMANDS)

const files = {
  'share/mailhandler.1': manualPage(),
  'share/mailhandler.bash': bash(),
  'share/mailhandler.zsh': zsh(),
  'share/mailhandler.fish': fish(),
}
for (const [file, text] of Object.entries(files)) {
  const path = join(ROOT, file)
  if (!process.argv.includes('--check')) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  } else if (readFileSync(path, 'utf8') !== text) {
    console.log(`${file} is not what the table of commands makes of it: npm run manual`)
    process.exitCode = 1
  }
}

function manualPage() {
  return `.\\" Made by scripts/manual.js of the table of commands.
.TH MAILHANDLER 1 "" "mailhandler ${version}" "User Commands"
.SH NAME
mailhandler \\- receive mail over SMTP
.SH SYNOPSIS
.B mailhandler
.I COMMAND
.RI [ OPTIONS ]
.SH DESCRIPTION
Receives mail over SMTP or LMTP and delivers it to a Maildir, as a configuration in TOML says.
Without --config it reads mailhandler.toml if that is in the folder where it is started.
Without that either it listens on 127.0.0.1:2525.
.SH COMMANDS
${commands.map(section).join('')}.SH EXIT STATUS
.TP
.B 0
The command has done what it was asked to, and a server has ended after its transactions.
.TP
.B 1
Something is wrong with the configuration, or with the machine: a port in use, an account that does not exist.
.TP
.B 2
The command line is wrong. It will not get better by a restart.
.SH SIGNALS
.TP
.B SIGHUP
The server reads its configuration, certificates and users again, and opens its logs again.
.TP
.BR SIGTERM ", " SIGINT
The server ends once the messages under way are done; with a second one, at once.
.SH SEE ALSO
docs/configuration.md in the package has every key of the configuration.
`
}

function section([name, { summary, text, options }]) {
  const about = text === '' ? '' : `${escape(text)}\n`
  return `.SS "mailhandler ${name}${operandOf(name)}"
${escape(summary[0].toUpperCase() + summary.slice(1))}.
${about}${Object.entries(options).map(describe).join('')}`
}

function describe([name, { short, takes, help }]) {
  const names = [...(short === undefined ? [] : [`\\-${short}`]), `\\-\\-${escape(name)}`].join(', ')
  const value = takes === undefined ? '' : ` \\fI${takes}\\fR`
  return `.TP
\\fB${names}\\fR${value}
${escape(help)}
`
}

function escape(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^(?=[.'])/gm, '\\&')
}
