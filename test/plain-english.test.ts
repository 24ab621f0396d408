// Phrases that readers had to read twice stay out of pages, help and comments of configuration files.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readText, ROOT } from './fixtures/repository.ts'

const PHRASES =
  /a new start|take a start|whom to|in good order|is listened|\banew\b|that is none\b|what is none|who is none|ask whoever/i

const pages = ['docs', 'examples', 'share']
  .flatMap(folder => readdirSync(join(ROOT, folder)).map(name => `${folder}/${name}`))
  .filter(file => /\.(?:md|toml|1|service|socket)$/.test(file))

for (const file of ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', ...pages]) {
  t.test(file, t => {
    const lines = readText(file)
      .split('\n')
      .filter(line => PHRASES.test(line))
    t.strictSame(lines, [])
    t.end()
  })
}
