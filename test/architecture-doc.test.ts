// docs/architecture.md: the functions that it names are where it says, and the number of them is what was counted.

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { readText, ROOT } from './fixtures/repository.ts'

const document = readText('docs/architecture.md')

t.test('each function is in its file', t => {
  let rows = 0
  for (const [, names = '', file = ''] of document.matchAll(/^\| (`[^|]+`) \| `(lib\/[^`|]+)` \|/gm)) {
    const source = readText(file)
    for (const [, name = ''] of names.matchAll(/`([^`]+)`/g)) {
      rows += 1
      t.match(source, new RegExp(`(?:^|[^\\w#])${name}\\b(?: =|\\(|: )`, 'm'), `${file}: ${name}`)
    }
  }
  t.ok(rows > 25)
  t.end()
})

t.test('each file that is named is there', t => {
  for (const [, file = ''] of document.matchAll(/`((?:lib|test|bench)\/[\w/.-]+)`/g)) {
    t.ok(existsSync(join(ROOT, file)), file)
  }
  t.end()
})

t.test('the functions on the two ways are as many as it says', async t => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'bench/hops.js')], { cwd: ROOT })
  const said = [...document.matchAll(/(\d+)\s+functions in (\d+) files/g)].map(([, functions, files]) => [
    functions,
    files,
  ])
  const counted = [...stdout.matchAll(/(to the policy|to the reader): (\d+) functions in (\d+) files/g)]
  const most = counted.map(([, , functions, files]) => [functions, files])
  t.strictSame(said, most)
})
