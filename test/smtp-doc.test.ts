// docs/smtp.md has a row for each command, extension and parameter, and each row a test that is there.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { VERBS } from '../lib/protocol/commands/command-table.ts'
import { EXTENSIONS } from '../lib/smtp/extensions.ts'
import { readText, ROOT } from './fixtures/repository.ts'

const TRANSCRIPTS = 'test/fixtures/transcripts/session'
const document = readText('docs/smtp.md')

interface Row {
  readonly name: string
  readonly cells: readonly string[]
}

/** The rows of the table under a heading. */
function rows(heading: string): Row[] {
  const [, section = ''] = document.split(`\n## ${heading}\n`)
  const [own = ''] = section.split('\n## ')
  return own.split('\n').flatMap(line => {
    const [name, ...cells] = line
      .split('|')
      .map(cell => cell.trim())
      .slice(1, -1)
    return name?.startsWith('`') ? [{ name: name.replaceAll('`', ''), cells }] : []
  })
}

function names(heading: string): string[] {
  return rows(heading).map(row => row.name)
}

/** What a union of string literals is made of. */
function union(file: string, type: string): string[] {
  const [, body = ''] = new RegExp(`export type ${type} =((?:\\s*\\|? ?'[^']+')+)`).exec(readText(file)) ?? []
  return [...body.matchAll(/'([^']+)'/g)].map(match => match[1]!)
}

t.test('each verb has a row', async t => {
  t.strictSame(names('Commands').toSorted(), VERBS.toSorted())
})

t.test('each extension has a row, with its default', async t => {
  t.strictSame(names('Extensions').toSorted(), [...EXTENSIONS.keys()].toSorted())
  for (const { name, cells } of rows('Extensions')) {
    const [, on = ''] = cells
    t.equal(on !== 'off', EXTENSIONS.get(name as never), name)
  }
})

t.test('each parameter has a row', async t => {
  const mail = union('lib/protocol/parameters/mail-parameters.ts', 'MailKeyword').map(name => `${name} MAIL`)
  const rcpt = union('lib/protocol/parameters/rcpt-parameters.ts', 'RcptKeyword').map(name => `${name} RCPT`)
  t.ok(mail.length > 10 && rcpt.length > 2)
  const documented = rows('Parameters').map(({ name, cells }) => `${name} ${cells[0]}`)
  t.strictSame(documented.toSorted(), [...mail, ...rcpt].toSorted())
})

t.test('each row names a clause, and a test that is there and speaks of it', async t => {
  for (const { name, cells } of ['Commands', 'Extensions', 'Parameters'].flatMap(rows)) {
    t.ok(
      cells.some(cell => /RFC \d+|Postfix \w+_README/.test(cell)),
      name,
    )
    const [, title, file] = /^`([^`]+)`(?: in (test\/\S+\.ts))?$/.exec(cells.at(-1)!) ?? []
    if (file === undefined) t.match(readText(`${TRANSCRIPTS}/${title}`).toUpperCase(), name, `${name}: ${title}`)
    else t.ok(readText(file).includes(`t.test('${title}'`), `${name}: ${title}`)
  }
})

t.test('each transcript and test file that is named is there', async t => {
  for (const [, file = ''] of document.matchAll(/`([\w-]+\.txt)`/g)) {
    if (file !== 'x.txt') t.ok(existsSync(join(ROOT, TRANSCRIPTS, file)), file)
  }
  for (const [file] of document.matchAll(/test\/[\w-]+\.ts/g)) t.ok(existsSync(join(ROOT, file)), file)
})
