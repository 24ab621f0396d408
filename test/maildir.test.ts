import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import fs from 'node:fs/promises'
import { basename, join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { maildir } from '../lib/deliveries/maildir.ts'
import { nameHost, removeStale, uniqueName } from '../lib/deliveries/maildir-folder.ts'
import type { Session } from '../lib/smtp/session.ts'
import type { SmtpError } from '../lib/words/smtp-error.ts'
import { address, begin, quit } from './fixtures/dialogue.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { watched } from './fixtures/hooks.ts'
import { fill } from './fixtures/streams.ts'

const list = (path: string, name: string): string[] => readdirSync(join(path, name))

async function refusal(work: Promise<unknown>): Promise<SmtpError> {
  return work.then(
    () => t.fail('it was delivered') as never,
    error => error as SmtpError,
  )
}

t.test('stores a body octet for octet, in folders and files of the right modes', async t => {
  const path = join(t.testdir(), 'deep', 'mail')
  const data = randomBytes(300_000)
  const { deliver } = maildir(path, { hostname: 'a/b:c' })
  const { file, id, size } = await deliver(Readable.from([data.subarray(0, 1), data.subarray(1)]))
  t.equal(size, data.length)
  t.equal(file, join(path, 'new', id))
  t.ok(readFileSync(file).equals(data))
  t.match(id, /^\d+\.M\d+P\d+Q\d+_[0-9a-f]{16}\.a\\057b\\072c$/)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(statSync(file).nlink, 1)
  for (const name of ['', 'tmp', 'new', 'cur']) t.equal(statSync(join(path, name)).mode & 0o777, 0o700, name)
  t.same(list(path, 'tmp'), [])
  t.same(list(path, 'new'), [id])
})

t.test('onMessage answers with the id, and puts the header in front', async t => {
  const path = t.testdir()
  const policy = maildir<{ from: string }>(path, { header: session => ({ 'Return-Path': `<${session.from}>` }) })
  const answer = await policy.onMessage(Readable.from(['A: b\r\n\r\n']), { from: 'x@y' })
  const [id] = list(path, 'new') as [string]
  t.equal(answer.toString(), `250 2.0.0 Delivered as ${id}\r\n`)
  t.equal(readFileSync(join(path, 'new', id), 'latin1'), 'Return-Path: <x@y>\r\nA: b\r\n\r\n')
  await policy.deliver(Readable.from(['plain']))
  t.ok(list(path, 'new').some(name => readFileSync(join(path, 'new', name), 'latin1') === 'plain'))
  await t.rejects(policy.onMessage(Readable.from(['a']), { from: '\r\nX: y' }), { code: 'ERR_HEADER' })
  t.same(list(path, 'tmp'), [])
  t.equal(list(path, 'new').length, 2)
})

t.test('an empty body is a message of no octets', async t => {
  const { file, size } = await maildir(t.testdir()).deliver(Readable.from([]))
  t.equal(size, 0)
  t.equal(statSync(file).size, 0)
})

t.test('a body that does not end leaves nothing, and rejects with its own error', async t => {
  const path = t.testdir()
  const { deliver } = maildir(path)
  const wrong = new Error('reset')
  const ways: Record<string, (body: PassThrough) => void> = {
    'fails at once': body => body.destroy(wrong),
    'fails later': body => void setTimeout(() => body.destroy(wrong), 20),
    'fails in the data': body => {
      body.write(Buffer.alloc(100_000))
      setTimeout(() => body.destroy(wrong), 20)
    },
  }
  for (const [way, act] of Object.entries(ways)) {
    const body = new PassThrough({ highWaterMark: 2 ** 20 })
    act(body)
    await t.rejects(deliver(body), wrong, way)
    t.same([list(path, 'tmp'), list(path, 'new')], [[], []], way)
  }
  for (const delay of [-1, 0, 20]) {
    const body = new PassThrough()
    body.write('a')
    if (delay < 0) body.destroy()
    else setTimeout(() => body.destroy(), delay)
    await t.rejects(deliver(body), { code: 'ERR_STREAM_PREMATURE_CLOSE' }, `closed after ${delay} ms`)
    t.same([list(path, 'tmp'), list(path, 'new')], [[], []])
  }
  const read = Readable.from(['a'])
  for await (const _ of read);
  await t.rejects(deliver(read), { code: 'ERR_BODY_STARTED' })
})

t.test('nothing is in new/ before the body has ended', async t => {
  const path = t.testdir({ tmp: {}, new: {}, cur: {} })
  const body = new PassThrough()
  const delivered = maildir(path).deliver(body)
  body.write(Buffer.alloc(10))
  while (list(path, 'tmp').length === 0) await pause(1)
  await pause(50)
  t.equal(list(path, 'tmp').length, 1)
  t.same(list(path, 'new'), [])
  body.end()
  await delivered
  t.equal(list(path, 'new').length, 1)
})

t.test('trouble with the disk', async t => {
  const at = t.testdir({ file: '' })
  const wrong = await refusal(maildir(join(at, 'file')).deliver(Readable.from(['a'])))
  t.match(wrong, { reply: { code: 451, status: '4.3.0' }, cause: { code: 'EEXIST' } })
  t.notMatch(wrong.reply.toString(), at, 'the client is told no path')

  const path = join(at, 'mail')
  const { deliver } = maildir(path)
  await deliver(Readable.from(['a']))
  const { FileHandle } = await handlePrototype(path)
  for (const [code, expected] of Object.entries({ ENOSPC: 452, EDQUOT: 452, EFBIG: 452, EIO: 451 })) {
    for (const method of ['write', 'sync'] as const) {
      const real = FileHandle[method]
      FileHandle[method] = async (): Promise<never> => {
        throw Object.assign(new Error('x'), { code })
      }
      const error = await refusal(deliver(Readable.from(['b'])))
      Object.assign(FileHandle, { [method]: real })
      t.match(error, { reply: { code: expected }, cause: { code } }, `${code} at ${method}`)
      t.same(list(path, 'tmp'), [])
      t.equal(list(path, 'new').length, 1)
    }
  }

  await deliver(Readable.from(['c']))
  rmSync(path, { recursive: true })
  t.match(await refusal(deliver(Readable.from(['c']))), { reply: { code: 451 }, cause: { code: 'ENOENT' } })
  await deliver(Readable.from(['d']))
  t.equal(list(path, 'new').length, 1, 'the folders are made again')

  if (process.getuid?.() !== 0) {
    chmodSync(join(path, 'tmp'), 0)
    t.match(await refusal(deliver(Readable.from(['e']))), { reply: { code: 451 }, cause: { code: 'EACCES' } })
    chmodSync(join(path, 'tmp'), 0o700)
  }
})

t.test('when the name cannot be flushed there is no message either', async t => {
  const path = t.testdir()
  const { deliver } = maildir(path)
  await deliver(Readable.from(['a']))
  const { FileHandle } = await handlePrototype(path)
  const real = FileHandle.sync
  FileHandle.sync = async function (this: fs.FileHandle) {
    if ((await this.stat()).isDirectory()) throw Object.assign(new Error('x'), { code: 'EIO' })
    return real.call(this)
  }
  t.teardown(() => void (FileHandle.sync = real))
  t.match(await refusal(deliver(Readable.from(['b']))), { reply: { code: 451 }, cause: { code: 'EIO' } })
  t.equal(list(path, 'new').length, 1)
})

t.test('once its verdict is not awaited any more, a message does not get into new/', async t => {
  for (const [step, how] of [
    ['file', 'late'],
    ['file', 'gone'],
    ['folder', 'late'],
    ['folder', 'gone'],
  ] as const) {
    const path = t.testdir()
    const { name, deliver, onMessage } = maildir<Session>(path)
    await deliver(Readable.from(['a']))
    const sync = await holdSync(path, step)
    const done: unknown[] = []
    const clock = new FakeClock()
    const { handler, errors } = watched({
      clock,
      delivery: { name, onMessage: (...args) => onMessage(...args).finally(() => done.push('done')) },
    })
    const c = await begin(handler)
    await address(c)
    await c.command('DATA', 354)
    await c.data('Hi\r\n')
    await sync.reached
    if (how === 'late') {
      await clock.tick(540_000)
      await c.expect('451 4.3.0 …')
    } else handler.destroy()
    sync.release()
    while (done.length === 0) await new Promise(setImmediate)
    t.same([list(path, 'tmp').length, list(path, 'new').length], [0, 1], `${step}, ${how}`)
    if (how === 'late') await quit(c)
    t.match(errors, how === 'late' ? [{ code: 'ERR_TIMEOUT' }] : [])
    t.equal(errors.length, how === 'late' ? 1 : 0, 'nothing further is reported')
  }
})

t.test('many at once share the flushes of the folder, each begun after the last name it covers', async t => {
  const path = t.testdir()
  const { deliver } = maildir(path)
  await deliver(Readable.from(['first']))
  const { FileHandle } = await handlePrototype(path)
  const real = FileHandle.sync
  let flushes = 0
  let running = 0
  const covered = new Set<string>()
  FileHandle.sync = async function (this: fs.FileHandle) {
    if (!(await this.stat()).isDirectory()) return real.call(this)
    const names = list(path, 'new')
    flushes++
    t.equal(++running, 1, 'one flush at a time')
    await new Promise(resolve => setTimeout(resolve, 5))
    await real.call(this)
    running--
    for (const name of names) covered.add(name)
  }
  t.teardown(() => void (FileHandle.sync = real))
  const late: string[] = []
  const ids = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const { id } = await deliver(Readable.from([`message ${i}`]))
      if (!covered.has(id)) late.push(id)
      return id
    }),
  )
  t.same(late, [], 'durable before the answer')
  t.equal(new Set(ids).size, 200)
  t.equal(list(path, 'new').length, 201)
  t.ok(flushes < 150, `${flushes} flushes`)
})

t.test('a disk that stands still stops the body', async t => {
  const path = t.testdir()
  const { deliver } = maildir(path)
  await deliver(Readable.from(['a']))
  const { FileHandle } = await handlePrototype(path)
  const real = FileHandle.write
  let release = (): void => {}
  const held = new Promise<void>(resolve => (release = resolve))
  FileHandle.write = async function (this: fs.FileHandle, ...args: never[]) {
    await held
    return (real as (...args: never[]) => Promise<never>).apply(this, args)
  }
  t.teardown(() => void (FileHandle.write = real))
  const body = new PassThrough()
  const delivered = deliver(body)
  const octets = await fill(body)
  t.ok(octets < 400_000, `${octets} octets`)
  release()
  body.end()
  t.equal((await delivered).size, octets)
})

t.test('stale files of ours are removed at the first delivery, and then hourly', async t => {
  const path = t.testdir()
  mkdirSync(join(path, 'tmp'))
  const old = new Date(Date.now() - 37 * 3_600_000)
  const make = (name: string, when?: Date): string => {
    const file = join(path, 'tmp', name)
    writeFileSync(file, '')
    if (when) utimesSync(file, when, when)
    return file
  }
  const stale = make(uniqueName(+old, 'host'), old)
  const kept = [make(uniqueName(+old, 'host')), make('1234.5678.host', old), make('notes.txt', old)]
  symlinkSync('/nowhere', join(path, 'tmp', uniqueName(+old, 'dangling')))
  let now = Date.now()
  const { deliver } = maildir(path, { clock: { now: () => now } })
  await deliver(Readable.from(['a']))
  const gone = async (file: string): Promise<void> => {
    while (existsSync(file)) await pause(5)
  }
  await gone(stale)
  for (const file of kept) t.ok(existsSync(file), basename(file))
  await t.resolves(removeStale(join(path, 'tmp'), Date.now()))

  const later = make(uniqueName(+old, 'later'), old)
  now += 30 * 60_000
  await deliver(Readable.from(['b']))
  await pause(50)
  t.ok(existsSync(later), 'not with each delivery')
  now += 31 * 60_000
  await deliver(Readable.from(['c']))
  await gone(later) // what a killed process left is removed while this one runs
})

t.test('names', t => {
  t.match(uniqueName(1_700_000_000_123.456, 'h'), /^1700000000\.M123456P\d+Q\d+_[0-9a-f]{16}\.h$/)
  t.equal(nameHost('mx/1:2'), 'mx\\0571\\0722')
  t.equal(nameHost('a b\r\nü'), 'a_b___')
  t.equal(nameHost(''), 'localhost')
  t.ok(uniqueName(Date.now(), nameHost(':'.repeat(300))).length <= 255)
  t.end()
})

/** Holds the next flush of a file, or of a folder, until it is released. */
async function holdSync(path: string, of: 'file' | 'folder'): Promise<{ reached: Promise<void>; release(): void }> {
  const { FileHandle } = await handlePrototype(path)
  const real = FileHandle.sync
  let release = (): void => {}
  const held = new Promise<void>(resolve => (release = resolve))
  const reached = new Promise<void>(resolve => {
    FileHandle.sync = async function (this: fs.FileHandle) {
      await real.call(this)
      if ((await this.stat()).isDirectory() !== (of === 'folder')) return
      FileHandle.sync = real
      resolve()
      await held
    }
  })
  return { reached, release }
}

/** node:fs/promises keeps the class of its handles to itself. */
async function handlePrototype(path: string): Promise<{ FileHandle: fs.FileHandle }> {
  const handle = await fs.open(path)
  await handle.close()
  return { FileHandle: Object.getPrototypeOf(handle) as fs.FileHandle }
}
