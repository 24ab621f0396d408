// The messages of `mailhandler catch`: in memory and in a folder.

import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { MailFiles } from '../lib/cli/catch/mail-files.ts'
import { MailStore, type StoreLimits } from '../lib/cli/catch/mail-store.ts'
import { SmtpHandler } from '../lib/index.ts'
import type { Catch } from '../lib/testing/catch/catching-server.ts'
import { loadParser } from '../lib/testing/catch/parse-mail.ts'
import { SessionRecord } from '../lib/testing/catch/session-record.ts'
import { converse } from '../lib/testing/index.ts'
import { MAIL, startTestCatcher } from './fixtures/catcher.ts'

const parse = await loadParser('the test')
const LIMITS = { turn: 1000, turns: 100, octets: 1000 }

let count = 0

/** A message, and the session that it came by. */
async function caught(subject: string, text = 'Hello'): Promise<Catch> {
  const handler = new SmtpHandler({ onMessage() {} })
  const session = new SessionRecord(handler, { address: '127.0.0.1', port: 1 }, LIMITS)
  const c = converse(handler)
  await c.expect(220)
  await c.command('QUIT', 221)
  await c.closed()
  count += 1
  return {
    id: `00000000-0000-0000-0000-${String(count).padStart(12, '0')}`,
    receivedAt: new Date(Date.UTC(2026, 0, 1) + count),
    envelope: { from: 'bob@example.org', to: ['hidden@example.org'] },
    raw: Buffer.from(
      `From: "Bob B" <bob@example.org>\r\nTo: anna@example.org\r\nSubject: ${subject}\r\n\r\n${text}\r\n`,
    ),
    session,
    signal: new AbortController().signal,
  }
}

interface Told {
  readonly added: string[]
  readonly removed: string[]
}

function storeOf(limits: StoreLimits, files: MailFiles | null = null): { store: MailStore; told: Told } {
  const told: Told = { added: [], removed: [] }
  const store = new MailStore(limits, files, parse, {
    added: ({ subject }) => told.added.push(subject),
    removed: ids => told.removed.push(...ids),
  })
  return { store, told }
}

const WIDE: StoreLimits = { messages: 100, octets: 1e6 }

t.test('a message whose client was told of trouble meanwhile is not kept', async t => {
  const { store, told } = storeOf(WIDE)
  await store.add({ ...(await caught('Late')), signal: AbortSignal.abort() })
  t.strictSame([store.size, told.added], [0, []])
})

t.test('in memory: list, search, open, delete', async t => {
  const { store, told } = storeOf(WIDE)
  t.equal(store.entry('latest'), null)
  const mails = [await caught('One', 'green   apples\r\nand pears'), await caught('Two'), await caught('Three')]
  for (const mail of mails) await store.add(mail)
  t.strictSame(told.added, ['One', 'Two', 'Three'])
  t.equal(store.size, 3)
  t.ok(store.octets > mails.reduce((sum, { raw }) => sum + raw.length, 0), 'dialogues count too')
  const subjects = async (search: string, start = 0, limit = 10): Promise<string[]> =>
    (await store.page(search, start, limit)).entries.map(({ subject }) => subject)
  t.strictSame(await subjects(''), ['Three', 'Two', 'One'])
  t.strictSame(await subjects('', 1, 1), ['Two'])
  t.strictSame(await subjects('', 5, 1), [])
  t.strictSame(await subjects('bob  APPLES'), ['One'])
  t.strictSame(await subjects('hidden@ two'), ['Two'])
  t.strictSame(await subjects('apples two'), [])
  t.equal((await store.page('anna', 0, 1)).total, 3)

  const [first] = mails
  t.match(store.entry(first!.id), {
    from: { name: 'Bob B' },
    size: first!.raw.length,
    snippet: 'green apples and pears',
  })
  t.equal(store.entry('latest')?.subject, 'Three')
  t.equal(await store.raw(first!.id), first!.raw)
  const opened = await store.mail(first!.id)
  t.match(opened?.text, 'green')
  t.equal(await store.mail(first!.id), opened, 'the last one is kept')
  t.match(await store.dialogue(first!.id), {
    address: '127.0.0.1',
    ending: 'quit',
    turns: [{ side: 'S' }, { side: 'C' }, {}],
  })

  t.equal(store.remove([first!.id, 'none']), 1)
  t.equal(store.remove(['none']), 0)
  t.strictSame(told.removed, [first!.id])
  for (const missing of [await store.raw(first!.id), await store.mail(first!.id), await store.dialogue(first!.id)]) {
    t.equal(missing, null)
  }
  t.equal(store.remove(null), 2)
  t.strictSame([store.size, store.octets], [0, 0])
})

t.test('the limits push the oldest out', async t => {
  const { store, told } = storeOf({ messages: 2, octets: 6000 })
  for (const subject of ['1', '2', '3']) await store.add(await caught(subject))
  t.equal(store.size, 2)
  t.equal(store.dropped, 1)
  t.equal(told.removed.length, 1)
  await store.add(await caught('4', 'x'.repeat(5000)))
  t.equal(store.size, 1)
})

t.test('in a folder: whole, for the owner, there after a restart', async t => {
  const folder = join(t.testdir(), 'a', 'mails')
  const { store } = storeOf(WIDE, new MailFiles(folder))
  const mails = [await caught('One'), await caught('Two')]
  for (const mail of mails.toReversed()) await store.add(mail)
  const [first] = mails
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.strictSame(
    readdirSync(folder).toSorted(),
    mails.flatMap(({ id }) => [`${id}.eml`, `${id}.json`]),
  )
  t.equal(statSync(join(folder, `${first!.id}.eml`)).mode & 0o777, 0o600)
  t.strictSame(readFileSync(join(folder, `${first!.id}.eml`)), first!.raw)

  writeFileSync(join(folder, 'notes.txt'), 'mine')
  const again = storeOf(WIDE, new MailFiles(folder)).store
  t.strictSame(
    (await again.page('', 0, 10)).entries.map(({ subject }) => subject),
    ['Two', 'One'],
    'in the order of their time',
  )
  t.strictSame(await again.raw(first!.id), first!.raw)
  t.match(await again.dialogue(first!.id), { ending: 'quit', turns: [{ side: 'S' }, { side: 'C' }, {}] })
  t.match(await again.mail(first!.id), { subject: 'One' })

  rmSync(join(folder, `${mails[1]!.id}.eml`))
  rmSync(join(folder, `${mails[1]!.id}.json`))
  t.equal(await again.raw(mails[1]!.id), null, 'somebody else has deleted it')
  t.equal(await again.dialogue(mails[1]!.id), null)
  again.remove(null)
  while (readdirSync(folder).length > 1) await new Promise(resolve => setImmediate(resolve))
  t.strictSame(readdirSync(folder), ['notes.txt'], 'other files stay')
})

t.test('a search after a restart reads the messages again, all of the text', async t => {
  const folder = t.testdir()
  const { store } = storeOf(WIDE, new MailFiles(folder))
  for (const subject of ['1', '2']) await store.add(await caught(subject, `${'lorem '.repeat(100)} zebra${subject}`))
  t.equal((await store.page('zebra1', 0, 10)).total, 1)
  const { store: again } = storeOf(WIDE, new MailFiles(folder))
  t.match(await again.page('lorem zebra2', 0, 10), { total: 1, entries: [{ subject: '2' }] })
  const { store: third } = storeOf(WIDE, new MailFiles(folder))
  const found = third.page('zebra', 0, 10)
  third.remove(null)
  t.equal((await found).total, 0, 'they are gone meanwhile')
})

t.test('a folder with more than the limits', async t => {
  const folder = t.testdir()
  const { store } = storeOf(WIDE, new MailFiles(folder))
  for (const subject of ['1', '2', '3']) await store.add(await caught(subject))
  const { store: small, told } = storeOf({ messages: 1, octets: 1e6 }, new MailFiles(folder))
  t.equal(small.entry('latest')?.subject, '3')
  t.equal(small.size, 1)
  t.strictSame(told.removed, [], 'nobody had heard of the others')
  while (readdirSync(folder).length > 2) await new Promise(resolve => setImmediate(resolve))
})

t.test('a folder that cannot be', t => {
  const file = join(t.testdir({ file: '' }), 'file')
  t.throws(() => new MailFiles(join(file, 'mails')), { message: /^.*mails: ENOTDIR/ })
  t.end()
})

t.test('a message that cannot be deleted is a warning', async t => {
  const folder = t.testdir()
  const { store } = storeOf(WIDE, new MailFiles(folder))
  const mail = await caught('One')
  await store.add(mail)
  rmSync(join(folder, `${mail.id}.eml`))
  mkdirSync(join(folder, `${mail.id}.eml`))
  const warned = new Promise<Error>(resolve => process.once('warning', resolve))
  store.remove(null)
  t.match(await warned, { message: /directory/i })
})

t.test('a header of very many addresses: the list has the first, and counts what it keeps', async t => {
  const { store } = storeOf(WIDE)
  const mail = await caught('Many')
  const to = Array.from({ length: 5000 }, (_, i) => `${'n'.repeat(300)} <a${i}@example.org>`).join(',\r\n ')
  const raw = Buffer.from(`To: ${to}\r\nSubject: Many\r\nMessage-ID: <${'x'.repeat(900)}>\r\n\r\nHello\r\n`)
  await store.add({ ...mail, raw })
  const entry = store.entry('latest')!
  t.equal(entry.to.length, 100)
  t.equal(entry.to[0]!.name.length, 200)
  t.equal(entry.messageId!.length, 200)
  t.equal((await store.mail('latest'))!.to.length, 5000, 'the message has all of them')
  t.ok(store.octets >= raw.length + JSON.stringify(entry).length)
})

t.test('--size is a limit of one message too', async t => {
  const { send } = await startTestCatcher(t, { octets: 5000 })
  await t.rejects(send({ ...MAIL, text: 'x '.repeat(5000) }), /552/)
  await send()
})

t.test('the last 200 sessions are remembered', async t => {
  const { smtpPort, url } = await startTestCatcher(t)
  const ports: number[] = []
  for (let i = 0; i < 201; i++) {
    const socket = connect(smtpPort, '127.0.0.1', () => ports.push(socket.localPort!)).resume()
    socket.end()
    await once(socket, 'close')
  }
  const { sessions } = (await (await fetch(new URL('/api/sessions', url))).json()) as { sessions: { port: number }[] }
  t.strictSame(
    sessions.map(({ port }) => port),
    ports.slice(1).toReversed(),
  )
})
