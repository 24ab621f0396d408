// The manual page and the completion for bash: made of the table of commands, and read by the programs they are for.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { COMMANDS } from '../lib/cli/command-line.ts'
import { bareNode } from './fixtures/bare-node.ts'
import { client } from './fixtures/clients.ts'
import { readText, ROOT } from './fixtures/repository.ts'

const run = promisify(execFile)

t.test('they are what the table makes of them', async t => {
  const [program, parameters] = bareNode([join(ROOT, 'scripts/manual.js'), '--check'])
  t.equal((await run(program, parameters)).stdout, '')
})

t.test('groff reads the page without a warning', { skip: client('groff') === null && 'groff is missing' }, async t => {
  const { stdout, stderr } = await run('groff', [
    '-man',
    '-Tascii',
    '-ww',
    '-P-cbou',
    join(ROOT, 'share/mailhandler.1'),
  ])
  t.equal(stderr, '')
  for (const [name, { options }] of Object.entries(COMMANDS)) {
    t.match(stdout, `mailhandler ${name}`)
    for (const option of Object.keys(options)) t.match(stdout, `--${option}`)
  }
})

/** What bash offers for the last of these words. */
async function complete(...words: string[]): Promise<string[]> {
  const file = join(ROOT, 'share/mailhandler.bash')
  const script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mailhandler; echo "${COMPREPLY[*]}"'
  const { stdout, stderr } = await run('bash', ['-c', script, 'bash', file, 'mailhandler', ...words], { cwd: ROOT })
  t.equal(stderr, '')
  return stdout.trim().split(' ')
}

t.test('bash completes commands, options and their values', async t => {
  t.strictSame(await complete('se'), ['serve'])
  t.strictSame(await complete('serve', '--m'), ['--maildir', '--metrics'])
  t.strictSame(await complete('check', '--log-level', 'w'), ['warn'])
  t.strictSame(await complete('serve', '-c', 'package.j'), ['package.json'])
  t.strictSame(await complete('help', 'pass'), ['password'])
  t.strictSame(await complete('serve', '--listen', ''), [''])
  for (const [name, { options }] of Object.entries(COMMANDS)) {
    const offered = await complete(name, '--')
    t.strictSame(
      offered,
      Object.keys(options).map(option => `--${option}`),
      name,
    )
  }
})

t.test('npm finds the page, which it links only if it is in a list', t => {
  t.strictSame((JSON.parse(readText('package.json')) as { man: unknown }).man, ['share/mailhandler.1'])
  t.end()
})
