// Completion in the shells that it is for: bash, zsh on a terminal of its own, and fish.

import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { COMMANDS } from '../lib/cli/command-line.ts'
import { missingTool } from './fixtures/clients.ts'
import { ROOT } from './fixtures/repository.ts'

const run = promisify(execFile)
const SHARE = join(ROOT, 'share')

/** Resolves with what a shell offers for the last word of each of these lines, in an order of its own. */
type Complete = (lines: readonly string[], folder: string) => Promise<string[][]>

const bash: Complete = (lines, folder) => {
  const script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mailhandler; echo "${COMPREPLY[*]}"'
  return Promise.all(
    lines.map(async line => {
      // On a socket, as a child of Node has it, bash reads ~/.bashrc, whatever that does.
      const parameters = ['--norc', '-c', script, 'bash', join(SHARE, 'mailhandler.bash'), ...line.split(' ')]
      const { stdout, stderr } = await run('bash', parameters, { cwd: folder })
      if (stderr !== '') throw new Error(stderr)
      return stdout.split(/\s+/).filter(word => word !== '')
    }),
  )
}

const fish: Complete = async (lines, folder) => {
  const asked = lines.map(line => `complete -C '${line}'; echo -- --`)
  const script = ['source "$argv[1]"', ...asked].join('\n')
  const parameters = ['--no-config', '-c', script, join(SHARE, 'mailhandler.fish')]
  const { stdout, stderr } = await run('fish', parameters, { cwd: folder, env: { ...process.env, HOME: folder } })
  if (stderr !== '') throw new Error(stderr)
  return answers(stdout)
}

/** Offers appear on a terminal alone: a zsh has one, and writes what each call of compadd would add to a file. */
const zsh: Complete = async (lines, folder) => {
  const out = join(folder, 'offered')
  writeFileSync(out, '')
  writeFileSync(
    join(folder, '.zshrc'),
    `fpath=(${folder}/functions $fpath)
autoload -Uz compinit
compinit -u -D
zstyle ':completion:*' list-prompt ''
zstyle ':completion:*' menu no
unsetopt automenu
compadd() {
  local -a __offered
  if [[ " \${(j: :)@[1,(i)-]} " != *" -[ODA] "* ]]; then
    builtin compadd -O __offered "$@"
    (( $#__offered )) && print -rl -- $__offered >>${out}
  fi
  builtin compadd "$@"
}
end_of_offer() { print -r -- -- >>${out} }
comppostfuncs=(end_of_offer)
complete_anew() { comppostfuncs=(end_of_offer); zle complete-word; BUFFER= }
zle -N complete_anew
bindkey '^I' complete_anew
print -r -- ready >>${out}
`,
  )
  await run('mkdir', [join(folder, 'functions')])
  writeFileSync(join(folder, 'functions/_mailhandler'), readFileSync(join(SHARE, 'mailhandler.zsh')))
  const script = `zmodload zsh/zpty
zpty -b terminal zsh -i
wait_for() { until [[ $(grep -c -- $1 ${out}) -ge $2 ]] { zpty -rt terminal >/dev/null; sleep 0.02 } }
wait_for ready 1
integer n=0
for line in "$@"; do
  zpty -wn terminal "$line"$'\\t'
  wait_for '^--$' $((++n))
done
zpty -d terminal`
  const env = { ...process.env, ZDOTDIR: folder, HOME: folder, TERM: 'dumb' }
  const { stderr } = await run('zsh', ['-f', '-c', script, 'zsh', ...lines], { cwd: folder, env, timeout: 30_000 })
  if (stderr !== '') throw new Error(stderr)
  return answers(readFileSync(out, 'utf8').replace(/^ready\n/, ''))
}

function answers(text: string): string[][] {
  const parts = text.split(/^--\n/m).slice(0, -1)
  return parts.map(part => {
    const words = part.split('\n').map(line => line.split('\t')[0]!)
    return [...new Set(words)].filter(word => word !== '')
  })
}

const WORDS: Readonly<Record<string, readonly string[]>> = {
  'mailhandler se': ['serve'],
  'mailhandler serve --m': ['--maildir', '--metrics'],
  'mailhandler check --log-level w': ['warn'],
  'mailhandler serve -c a.t': ['a.toml'],
  'mailhandler help pass': ['password'],
  'mailhandler serve --listen ': [],
  'mailhandler greylist st': ['stats'],
  'mailhandler greylist import a.t': ['a.toml'],
  'mailhandler import-kamaelia a.t': ['a.toml'],
  'mailhandler password x': [],
}

async function check(t: Test, complete: Complete): Promise<void> {
  const folder = t.testdir({ 'a.toml': '' })
  const commands = Object.keys(COMMANDS).map(name => `mailhandler ${name} --`)
  const offered = await complete([...Object.keys(WORDS), ...commands], folder)
  for (const [index, [line, words]] of Object.entries(WORDS).entries()) t.strictSame(offered[index], words, line)
  for (const [index, [name, { options }]] of Object.entries(COMMANDS).entries()) {
    const expected = Object.keys(options).map(option => `--${option}`)
    t.strictSame(offered[Object.keys(WORDS).length + index]?.toSorted(), expected.toSorted(), name)
  }
}

for (const [name, complete] of Object.entries({ bash, zsh, fish })) {
  t.test(`${name} completes commands, options and their values`, { skip: missingTool(name) }, t => check(t, complete))
}
