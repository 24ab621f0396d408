// `npm run sabotage`: its list is docs/security.md's, each edit still applies, and it tells a test that fails from one that
// does not. The sabotage as a whole is run by hand.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { ROOT } from './fixtures/repository.ts'

interface Row {
  readonly id: string
  readonly test: string
  readonly file: string
  readonly find: string
  readonly replace: string
}

const load = async <T>(file: string): Promise<T> => (await import(pathToFileURL(join(ROOT, file)).href)) as T
const { ROWS, SECTIONS } = await load<{ ROWS: readonly Row[]; SECTIONS: Readonly<Record<string, readonly Row[]>> }>(
  'scripts/sabotage/list.js',
)
const { edited, table } = await load<{
  edited: (row: Row, source: string) => string
  table: (rows: readonly Row[]) => string
}>('scripts/sabotage/rows.js')
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

t.test('docs/security.md has the tables of the list', async t => {
  const text = read('docs/security.md')
  for (const [name, rows] of Object.entries(SECTIONS)) t.ok(text.includes(`## ${name}\n\n${table(rows)}\n`), name)
  const commands = text.match(/`npm run sabotage -- [^`]+`/g) ?? []
  t.equal(commands.length, ROWS.length, 'every row is of the list')
})

t.test('each edit applies to its source, and its test is there', async t => {
  t.equal(new Set(ROWS.map(({ id }) => id)).size, ROWS.length, 'no name twice')
  for (const row of ROWS) {
    const source = read(`lib/${row.file}`)
    t.not(edited(row, source), source, row.id)
    t.ok(existsSync(join(ROOT, `test/${row.test}.test.ts`)), `${row.id}: test/${row.test}.test.ts`)
  }
})

t.test('an edit whose text has gone says so', async t => {
  const row = { id: 'gone', test: 'x', file: 'x.ts', find: 'what is gone', replace: '' }
  t.throws(() => edited(row, 'another text'), /gone: its text is 0 times in lib\/x\.ts/)
  t.throws(() => edited(row, 'what is gone, what is gone'), /2 times/)
})
