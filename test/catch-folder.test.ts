// The folder of `mailhandler catch` with files in it that are not its own, or broken.

import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MailFiles } from '../lib/cli/catch/mail-files.ts'
import { readEntry } from '../lib/cli/catch/read-entry.ts'
import { startTestCatcher, MAIL } from './fixtures/catcher.ts'
import { canMount, smallDisk } from './fixtures/small-disk.ts'

const nameOf = (i: number): string => `00000000-0000-0000-0000-${String(i).padStart(12, '0')}`

t.test('foreign and broken files are neither read nor deleted, and one warning tells', async t => {
  const folder = t.testdir()
  const first = await startTestCatcher(t, { folder })
  await first.send({ ...MAIL, subject: 'Mine' })
  await first.close()
  const own = readdirSync(folder)
  const description = JSON.parse(
    readFileSync(
      join(
        folder,
        own.find(name => name.endsWith('.json'))!,
      ),
      'utf8',
    ),
  ) as {
    entry: { id: string; subject: string }
  }
  const described = (i: number, more: object): string =>
    JSON.stringify({ ...description, entry: { ...description.entry, id: nameOf(i), ...more } })
  const put = (name: string, content: string): void => writeFileSync(join(folder, name), content)
  put('package.json', '{"entry":{"id":"package"}}')
  put('package.eml', 'x')
  put('------------------------------------.json', 'x')
  put(`${own[0]!.slice(0, 36)}.eml.tmp`, 'cut')
  // With a name of this program, but not by it.
  put(`${nameOf(1)}.json`, '{"entry":')
  put(`${nameOf(2)}.json`, '{"entry":{"id":"../../x"}}')
  put(`${nameOf(3)}.json`, 'null')
  put(`${nameOf(4)}.json`, described(4, { to: 'anna' }))
  put(`${nameOf(5)}.json`, described(55, {}))
  put(`${nameOf(6)}.json`, described(6, {})) // and no .eml
  put(`${nameOf(7)}.json`, '')
  truncateSync(join(folder, `${nameOf(7)}.json`), 17 * 2 ** 20)
  mkdirSync(join(folder, `${nameOf(8)}.json`))
  symlinkSync('/dev/zero', join(folder, `${nameOf(9)}.json`))
  execFileSync('mkfifo', [join(folder, `${nameOf(10)}.json`)]) // to open it would wait for ever
  const before = readdirSync(folder)
  const warnings: Error[] = []
  const onWarning = (warning: Error): unknown => warnings.push(warning)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const second = await startTestCatcher(t, { folder })
  const list = await (await fetch(new URL('/api/mails?search=mine', second.url))).json()
  t.match(list, { total: 1, all: 1, mails: [{ subject: 'Mine' }] })
  t.equal(warnings.length, 1)
  t.match(warnings[0]!.message, /has 10 files that describe no message; left alone: 00000000-.*-000000000001\.json \(/)
  await fetch(new URL('/api/mails', second.url), { method: 'DELETE' })
  while (readdirSync(folder).length > before.length - 2) await new Promise(resolve => setImmediate(resolve))
  t.strictSame(
    readdirSync(folder),
    before.filter(name => !own.includes(name)),
  )
})

t.test('the source comes from the folder, a piece at a time', async t => {
  const folder = t.testdir()
  const { send, url } = await startTestCatcher(t, { folder })
  await send({ ...MAIL, text: 'x '.repeat(200_000) })
  const [eml] = readdirSync(folder)
  for (const path of ['/api/mails/latest/source', '/api/v1/message/latest/raw', '/email/latest/download']) {
    const response = await fetch(new URL(path, url))
    t.equal(await response.text(), readFileSync(join(folder, eml!), 'utf8'), path)
    t.equal(response.headers.get('content-length'), null)
    const head = await fetch(new URL(path, url), { method: 'HEAD' })
    t.equal(head.status, 200)
  }
  rmSync(join(folder, eml!))
  t.equal((await fetch(new URL('/api/mails/latest/source', url))).status, 404)
})

t.test('a message that cannot be written leaves nothing', async t => {
  const folder = t.testdir()
  const files = new MailFiles(folder)
  const write = (i: number): Promise<number> =>
    files.write({ entry: { id: nameOf(i) }, dialogue: {} } as Parameters<MailFiles['write']>[0], Buffer.from('x'))
  const fault = { name: 'SmtpError', reply: { code: 451, status: '4.3.0' }, cause: { code: 'EISDIR' } }
  for (const [i, blocked] of ['.eml', '.json', '.json.tmp'].entries()) {
    mkdirSync(join(folder, nameOf(i) + blocked))
    await t.rejects(write(i), fault, blocked)
  }
  t.strictSame(readdirSync(folder), [`${nameOf(0)}.eml`, `${nameOf(1)}.json`, `${nameOf(2)}.json.tmp`])
  t.equal(await write(9), 1 + readFileSync(join(folder, `${nameOf(9)}.json`)).length)
})

t.test(
  'a full disk is 452, and takes mail again once there is room',
  { skip: !canMount() && 'no right to mount' },
  async t => {
    const disk = smallDisk(256)
    t.teardown(() => disk.remove())
    const { send } = await startTestCatcher(t, { folder: disk.folder })
    const warned = new Promise<Error>(resolve => process.once('warning', resolve))
    await t.rejects(send({ ...MAIL, text: 'x'.repeat(400_000) }), { message: /452 4\.3\.1 / })
    t.match((await warned).message, /Insufficient storage/)
    t.strictSame(readdirSync(disk.folder), [])
    await send()
    t.equal(readdirSync(disk.folder).length, 2)
  },
)

t.test('the folder is made with those above it, or the error names it', t => {
  const folder = t.testdir({ file: '', link: t.fixture('symlink', 'absent') })
  t.strictSame(new MailFiles(join(folder, 'a/b/c')).read(), [])
  t.equal(statSync(join(folder, 'a/b')).mode & 0o777, 0o700)
  const none = process.platform === 'linux' ? ['/proc/mails'] : []
  for (const path of [join(folder, 'file'), join(folder, 'file/mails'), join(folder, 'link/mails'), ...none]) {
    t.throws(() => new MailFiles(path), { message: new RegExp(`^${path}: \\S`) })
  }
  t.end()
})

t.test('one broken file', async t => {
  const folder = t.testdir({ [`${nameOf(1)}.json`]: '{}' })
  const warned = new Promise<Error>(resolve => process.once('warning', resolve))
  t.strictSame(new MailFiles(folder).read(), [])
  t.match((await warned).message, /has a file that describes no message; .*\(entry\.id is wrong\)$/)
})

t.test('every field of an entry is checked', t => {
  const entry = {
    id: nameOf(1),
    receivedAt: '2026-01-01T00:00:00.000Z',
    envelope: { from: '', to: ['a@example.org'] },
    from: { name: '', address: 'a@example.org' },
    to: [],
    cc: [{ name: 'Carl', address: 'c@example.org' }],
    subject: '',
    messageId: '<1@x>',
    size: 1,
    attachments: 0,
    snippet: '',
    sessionId: 's',
  }
  t.equal(readEntry(entry), entry)
  t.match(readEntry({ ...entry, from: null, messageId: null }), { from: null })
  const wrong: Record<keyof typeof entry, unknown[]> = {
    id: [1, undefined],
    receivedAt: ['yesterday', '2026-01-01Tx', 5],
    envelope: [null, {}, { from: 'a', to: 'b' }, { from: 'a', to: [1] }],
    from: ['a', { name: 'a' }],
    to: [null, ['a']],
    cc: [{}],
    subject: [null],
    messageId: [undefined],
    size: [-1, 0.5, '1'],
    attachments: [null],
    snippet: [{}],
    sessionId: [1],
  }
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values)
      t.throws(() => readEntry({ ...entry, [name]: value }), { message: `entry.${name} is wrong` })
  }
  for (const value of [null, 'x', []]) t.throws(() => readEntry(value), { message: 'entry.id is wrong' })
  t.end()
})
