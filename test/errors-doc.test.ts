// docs/errors.md has a row for each code, and each row is a code.

import t from 'tap'
import { readText } from './fixtures/repository.ts'

const union = /export type ErrorCode =((?:\s*\| '\w+')+)/.exec(readText('lib/words/errors.ts'))?.[1] ?? ''
const declared = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code)
const documented = [...readText('docs/errors.md').matchAll(/^\| `(ERR_\w+)` \| \S.* \| \S.* \|$/gm)].map(
  ([, code]) => code,
)

t.test('each ErrorCode has one row in docs/errors.md, and the other way round', t => {
  t.ok(declared.length > 0)
  t.strictSame(
    declared.filter(code => !documented.includes(code)),
    [],
    'not documented',
  )
  t.strictSame(
    documented.filter(code => !declared.includes(code)),
    [],
    'documented, but no longer there',
  )
  t.equal(new Set(documented).size, documented.length, 'no row twice')
  t.end()
})
