// docs/operations.md: the metrics that it names are there, and the messages of the log are elsewhere.

import t from 'tap'
import { readText, sources } from './fixtures/repository.ts'

const document = readText('docs/operations.md')
const code = sources('lib/cli')
  .map(file => readText(`lib/cli/${file}`))
  .join('\n')

t.test('the messages of the log are in one list, in docs/troubleshooting.md', t => {
  t.match(document, '(troubleshooting.md#by-line-of-the-log)')
  t.notMatch(document, /^\| `(?:session|transaction)` \|/m)
  t.end()
})

t.test('the metrics are there', t => {
  const named = [...document.matchAll(/`(mailhandler_\w+)`/g)].map(([, name]) => name!)
  t.ok(named.length > 5)
  for (const name of named) t.match(code, `'${name}'`)
  t.end()
})
