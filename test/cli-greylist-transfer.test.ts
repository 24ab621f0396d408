// `mailhandler greylist show | allow | export | import`. The dumps under fixtures/postgrey are what db5.3_dump -p (Debian's
// db5.3-util 5.3.28) prints of a database that postgrey 1.37 wrote.

import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { act, type Action } from '../lib/cli/greylist-actions.ts'
import { importEntries } from '../lib/cli/greylist-transfer.ts'
import { readPostgrey } from '../lib/cli/postgrey-dump.ts'
import { defaultRules, memoryStore, type GreylistRequest } from '../lib/stores.ts'
import { run } from './fixtures/command.ts'
import { readText, ROOT } from './fixtures/repository.ts'

const OPTIONS = { rules: defaultRules, allowBy: 'network' } as const
const TIME = 1_795_000_000_000
const dump = (name: string): string => join(ROOT, 'test/fixtures/postgrey', `${name}.dump`)

function request(client: string, sender: string, recipient = 'bob@example.org'): GreylistRequest {
  return { clients: [{ key: client }], sender, recipients: [recipient], rules: defaultRules }
}

t.test('what postgrey knew is known, under the keys of greylist()', async t => {
  const store = memoryStore({ clock: { now: () => TIME + 8_000_000 } })
  const message = /^5 entries put, 0 left out/
  t.match(await importEntries(store, dump('postgrey'), OPTIONS), message)
  t.match(await importEntries(store, dump('postgrey'), OPTIONS), /^0 entries put, 5 left out/, 'the same again')
  const verdict = async (...about: Parameters<typeof request>): Promise<string> =>
    (await store.greylist(request(...about))).recipients[0]!.verdict
  t.equal(await verdict('net:192.0.2.0/24', 'anna@example.net'), 'known')
  t.equal(await verdict('net:192.0.2.0/24', 'list-#@example.net'), 'known')
  t.equal(await verdict('net:203.0.113.0/24', '', 'carl/x@example.org'), 'known', 'from <>, to a name with a slash')
  t.equal(await verdict('net:2001:db8::/64', 'dora@example.edu'), 'known')
  t.equal(await verdict('net:198.51.100.0/24', 'carl@example.com'), 'pass', 'it came once, 2 hours ago')
  t.equal(await verdict('net:198.51.100.0/24', 'anna@example.net'), 'new')
  await store.close()
})

t.test('clients of postgrey keep their count, and the times are those of the dump', async t => {
  const entries = [...readPostgrey(readText('test/fixtures/postgrey/postgrey_clients.dump'), OPTIONS)]
  t.strictSame(entries, [
    {
      kind: 'client',
      client: 'net:192.0.2.0/24',
      passes: 2,
      last: TIME + 7_700_000,
      expires: TIME + 7_700_000 + defaultRules.life,
    },
    {
      kind: 'client',
      client: 'net:2001:db8::/64',
      passes: 1,
      last: TIME + 800_000,
      expires: TIME + 800_000 + defaultRules.life,
    },
    {
      kind: 'client',
      client: 'net:203.0.113.0/24',
      passes: 1,
      last: TIME + 900_000,
      expires: TIME + 900_000 + defaultRules.life,
    },
  ])
  const alone = [
    ...readPostgrey(readText('test/fixtures/postgrey/postgrey_clients.dump'), { ...OPTIONS, allowBy: 'address' }),
  ]
  t.strictSame(
    alone.map(entry => entry?.client),
    ['net:192.0.2.11/32', 'net:2001:db8::/64', 'net:203.0.113.9/32'],
  )
  const text =
    'VERSION=3\nformat=print\ntype=btree\nHEADER=END\n a9993e364706816aba3e25717850c26c9cd0d89d\n 1,2\nDATA=END\n'
  t.strictSame([...readPostgrey(text, OPTIONS)], [null], 'a digest of --privacy')
  const escaped = text.replace(
    'a9993e364706816aba3e25717850c26c9cd0d89d',
    '192.0.2.0/a\\5c\\5cb@x.example/b\\\\@y.example',
  )
  t.equal([...readPostgrey(escaped, OPTIONS)].length, 1)
})

t.test('the command: show, allow, export, import', async t => {
  const folder = t.testdir({ 'm.toml': '[greylist]\n', 'n.toml': '[greylist]\nfile = "n.db"\nsalt = "n.salt"\n' })
  const ask = (...words: string[]) => run(['greylist', ...words, '--config', 'm.toml'], folder)
  const other = (...words: string[]) => run(['greylist', ...words, '--config', 'n.toml'], folder)
  t.match(await ask('show', '192.0.2.1'), {
    code: 0,
    stdout: 'net:192.0.2.0/24: not past greylisting, 0 accepted messages that count (it takes 5)\n',
  })
  t.match(await ask('allow', '192.0.2.1'), { code: 0, stdout: 'net:192.0.2.0/24: past greylisting\n' })
  t.match(await ask('show', '192.0.2.1'), {
    stdout: /^net:192\.0\.2\.0\/24: past greylisting, 5 accepted .*known until 2/,
  })
  const exported = await ask('export')
  t.match(exported, { code: 0, stdout: /^\{"format":"mailhandler greylist","version":1\}\n\{"kind":"client",.*\}\n$/ })
  writeFileSync(join(folder, 'export'), exported.stdout)
  t.match(await ask('import', 'export'), { code: 0, stdout: /^0 entries put, 1 left out/ })
  t.match(await ask('forget', '192.0.2.1'), { stdout: '1 entries forgotten\n' })
  t.match(await ask('import', 'export'), { code: 0, stdout: /^1 entries put, 0 left out/ })
  t.match(await ask('show', '192.0.2.1'), { stdout: /^net:192\.0\.2\.0\/24: past greylisting/ })
  t.match(await other('import', 'export'), { code: 1, stderr: /the entry was made with another salt/ })
  copyFileSync(join(folder, 'greylist.db.salt'), join(folder, 'o.salt'))
  writeFileSync(join(folder, 'n.toml'), '[greylist]\nfile = "o.db"\nsalt = "o.salt"\n')
  t.match(await other('import', 'export'), { code: 0, stdout: /^1 entries put/ }, 'another file, the same salt')

  writeFileSync(join(folder, 'wrong'), `${exported.stdout}{"kind":"rate"}\n`)
  t.match(await ask('import', 'wrong'), { code: 1, stderr: /wrong:3: no entry of an export/ })
  t.match(await ask('import', 'm.toml'), { code: 1, stderr: /m\.toml: neither an export of mailhandler nor/ })
  t.match(await ask('import', 'none'), { code: 1, stderr: /^mailhandler: none: there is no such file\n$/ })
  t.match(await ask('import'), { code: 2, stderr: /greylist import takes a file/ })
  t.match(await ask('allow'), { code: 2, stderr: /greylist allow takes a client/ })
  t.match(await ask('allow', 'spf:example.org'), {
    code: 2,
    stderr: /no client gets past greylisting by "spf:example\.org"/,
  })
  writeFileSync(join(folder, 'n.toml'), '[greylist]\npreset = "kamaelia"\n')
  t.match(await other('allow', '192.0.2.1'), { code: 2, stderr: /use lists\.allow_clients/ })
})

t.test('under the preset postgrey an address is not its network', async t => {
  const store = memoryStore()
  const { config } = loadConfig('m.toml', '[greylist]\npreset = "postgrey"')
  const ask = async (action: Action, operand: string): Promise<string> => {
    let said = ''
    const write = (text: string): Promise<void> => Promise.resolve(void (said += text))
    await act(action, operand, { store, config: config.greylist!, write, logs: [], json: false })
    return said
  }
  t.equal(await ask('allow', '192.0.2.7'), 'net:192.0.2.7/32: past greylisting\n')
  t.match(
    await ask('show', '192.0.2.7'),
    /^net:192\.0\.2\.0\/24: not past greylisting.*\nnet:192\.0\.2\.7\/32: past greylisting/,
  )
  t.match(await ask('show', '192.0.2.8'), /net:192\.0\.2\.8\/32: not past greylisting/)
  t.match(await ask('list', '192.0.2.7'), /^client\tnet:192\.0\.2\.7\/32\t/m)
  t.equal(await ask('forget', '192.0.2.7'), '1 entries forgotten\n')
})

t.test('the command: what it shows of triplets', async t => {
  const folder = t.testdir({ 'm.toml': '[greylist]\n' })
  const ask = (...words: string[]) => run(['greylist', ...words, '--config', 'm.toml'], folder)
  const now = Date.now()
  const line = (words: string, first: number, last: number): string => ` ${words}\n ${first},${last}\n`
  const seconds = (ago: number): number => Math.round(now / 1000) - ago
  writeFileSync(
    join(folder, 'dump'),
    'VERSION=3\nformat=print\ntype=btree\nHEADER=END\n' +
      line('192.0.2.0/anna@example.net/bob@example.org', seconds(90_000), seconds(50_000)) +
      line('192.0.2.0//bob@example.org', seconds(90_000), seconds(3000)) +
      line('192.0.2.0/carl@example.com/bob@example.org', seconds(30), seconds(30)) +
      'DATA=END\n',
  )
  t.match(await ask('import', 'dump'), { code: 0, stdout: /^3 entries put, 0 left out/ })
  const { stdout: shown } = await ask('show', '192.0.2.77')
  t.match(shown, /^net:192\.0\.2\.0\/24: not past greylisting/)
  t.match(shown, /^example\.net: passed after 60s, /m)
  t.match(shown, /^<>: passed after 60s, /m)
  t.match(shown, /^example\.com: waits, 1 attempts, /m)
  const { stdout: listed } = await ask('list', '192.0.2.77')
  t.match(listed, /^passed\tnet:192\.0\.2\.0\/24\t<>\t/m)
  t.match(listed, /^waits\tnet:192\.0\.2\.0\/24\texample\.com\t/m)
  t.match(await ask('stats'), { stdout: /triplets that have passed +2\n.*least, median, most +60s, 60s, 60s\n/ })
  t.match(await ask('show', 'mail.example.co.uk'), { stdout: /^name:example\.co\.uk: not past/ })
  t.match(await ask('allow', 'mail.example.co.uk'), { stdout: 'name:example.co.uk: past greylisting\n' })
  t.match(await ask('list'), { stdout: /^client\tname:example\.co\.uk\t.*5 messages accepted$/m })
  t.match(await ask('stats', 'x'), { code: 2, stderr: /greylist stats takes nothing more/ })
})
