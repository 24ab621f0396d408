// docs/operations.md has a row for each message of the log and no other, and the metrics that it names are there.

import t from 'tap'
import { readText, sources } from './fixtures/repository.ts'

const document = readText('docs/operations.md')
const code = sources('lib/cli')
  .map(file => readText(`lib/cli/${file}`))
  .join('\n')

/** What is in parentheses, up to this depth. */
const nested = (depth: number): string => (depth === 0 ? '[^()]' : `(?:[^()]|\\(${nested(depth - 1)}*\\))`)
/** A call that writes a line; the message is its last argument. */
const LINE = new RegExp(
  `(?:\\.(?:debug|info|warn|error|fatal)|log\\(\\)\\[[^\\]]+\\])\\((?:[^'();]|\\(${nested(3)}*\\))*?'([^']+)',?\\s*\\)`,
  'g',
)

t.test('every message of the log has its row', t => {
  const written = new Set([...code.matchAll(LINE)].map(([, message]) => message!))
  const table = document.slice(document.indexOf('## Lines of the log'), document.indexOf('## The upstream is down'))
  const cells = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].map(([, names]) => names!)
  const documented = [...cells.join(' ').matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
  t.strictSame(documented.toSorted(), [...written].toSorted())
  t.end()
})

t.test('the metrics are there', t => {
  const named = [...document.matchAll(/`(mailhandler_\w+)`/g)].map(([, name]) => name!)
  t.ok(named.length > 5)
  for (const name of named) t.match(code, `'${name}'`)
  t.end()
})
