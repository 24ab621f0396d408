// The manual page: made of the table of commands as the completion is, and read by groff.

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

t.test('npm finds the page, which it links only if it is in a list', t => {
  t.strictSame((JSON.parse(readText('package.json')) as { man: unknown }).man, ['share/mailhandler.1'])
  t.end()
})
