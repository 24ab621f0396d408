import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  read,
  readFileSync,
  renameSync,
  statSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { closeLogs, droppedLines, lineLog, reopenLogs } from '../lib/log/line-log.ts'
import { memoryHeld } from './fixtures/memory.ts'
import { until } from './fixtures/until.ts'

const MODULE = join(import.meta.dirname, '..', 'lib', 'log', 'line-log.js')
const settle = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** What a file has; nothing if it is not there. */
const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '')

/** The process warnings from now on. */
function warnings(t: { teardown(fn: () => void): void }): string[] {
  const seen: string[] = []
  const listen = (warning: Error): void => void (warning.name === 'MailHandlerWarning' && seen.push(warning.message))
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  return seen
}

t.test('opens nothing before the first line', async t => {
  const path = join(t.testdir(), 'log')
  const log = lineLog(path)
  t.notOk(existsSync(path))
  log.write('one')
  await closeLogs()
  t.equal(readFileSync(path, 'utf8'), 'one\n')
  t.equal(statSync(path).mode & 0o777 & ~0o640, 0)
})

t.test('one log a file, in order, appended to', async t => {
  const path = join(t.testdir({ log: 'old\n' }), 'log')
  t.equal(lineLog(path), lineLog(relative(process.cwd(), path)))
  for (let i = 0; i < 1000; i++) lineLog(path).write(String(i))
  await closeLogs()
  t.equal(readFileSync(path, 'utf8'), `old\n${Array.from({ length: 1000 }, (_, i) => `${i}\n`).join('')}`)
  lineLog(path).write('again')
  await closeLogs()
  t.match(readFileSync(path, 'utf8'), /\nagain\n$/)
})

t.test('no line can be forged', async t => {
  const path = join(t.testdir(), 'log')
  lineLog(path).write('HELO a\r\n250 forged\u2028x\x1b[2J')
  lineLog(path).write('y'.repeat(100_000))
  await closeLogs()
  const [first, second, ...rest] = readFileSync(path, 'utf8').split('\n')
  t.equal(first, 'HELO a\\x0d\\x0a250 forged\\u2028x\\x1b[2J')
  t.equal(second?.length, 8192)
  t.same(rest, [''])
})

t.test('rotation', async t => {
  const path = join(t.testdir(), 'log')
  lineLog(path).write('one')
  await until(() => textOf(path) === 'one\n')
  renameSync(path, `${path}.1`)
  reopenLogs()
  lineLog(path).write('two')
  await until(() => textOf(path) === 'two\n')
  await closeLogs()
  t.equal(readFileSync(`${path}.1`, 'utf8'), 'one\n')
  t.equal(readFileSync(path, 'utf8'), 'two\n')
})

t.test('a file that cannot be opened: one warning, and no line is lost once it can', async t => {
  const seen = warnings(t)
  const path = join(t.testdir(), 'missing', 'log')
  for (let i = 0; i < 10; i++) lineLog(path).write('waits')
  await until(() => seen.length > 0)
  t.match(seen[0], /the log .*missing.log: ENOENT/)
  mkdirSync(join(path, '..'))
  lineLog(path).write('last')
  await closeLogs()
  t.equal(readFileSync(path, 'utf8'), `${'waits\n'.repeat(10)}last\n`)
  t.equal(seen.length, 1)
})

t.test('a file that cannot be opened at the end either: closing settles, and the lines are counted', async t => {
  warnings(t)
  const path = join(t.testdir(), 'missing', 'log')
  const before = droppedLines()
  for (let i = 0; i < 10; i++) lineLog(path).write('lost')
  await closeLogs()
  t.equal(droppedLines() - before, 10)
  mkdirSync(join(path, '..'))
  lineLog(path).write('kept')
  await closeLogs()
  t.equal(readFileSync(path, 'utf8'), '10 lines dropped\nkept\n')
})

t.test('a file that can be opened again is tried without a further line', async t => {
  const seen = warnings(t)
  const path = join(t.testdir(), 'missing', 'log')
  lineLog(path).write('waits')
  await until(() => seen.length > 0)
  mkdirSync(join(path, '..'))
  await until(() => textOf(path) !== '')
  t.equal(textOf(path), 'waits\n')
})

t.test(
  'a disk that fails: one warning, bounded memory, and closing still settles',
  { skip: !existsSync('/dev/full') },
  async t => {
    const seen = warnings(t)
    const before = memoryHeld()
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 500; j++) lineLog('/dev/full').write(`${i} ${j} `.padEnd(8000, 'z'))
      await settle(1)
    }
    const held = (memoryHeld() - before) / 2 ** 20
    t.ok(held < 8, `${held.toFixed(1)} MiB held of 80 MB`)
    t.equal(seen.length, 1)
    const used: number[] = [] // the collector of garbage may be busy in some of these
    for (let i = 0; i < 5; i++) {
      const begun = process.cpuUsage()
      await settle(100)
      const { user, system } = process.cpuUsage(begun)
      used.push(user + system)
    }
    t.ok(Math.min(...used) < 20_000, `it does not spin: ${used.join(', ')} µs of CPU in 100 ms each`)
    await closeLogs()
  },
)

/** Reads what a pipe has, until `enough`. */
async function drain(fd: number, enough: (text: string) => boolean): Promise<string> {
  const chunk = Buffer.alloc(2 ** 16)
  let text = ''
  for (let i = 0; i < 500 && !enough(text); i++) {
    const piece = await new Promise<string>(resolve => {
      read(fd, chunk, 0, chunk.length, null, (error, octets) =>
        resolve(error ? '' : chunk.toString('latin1', 0, octets)),
      )
    })
    text += piece
    if (piece === '') await settle(5)
  }
  return text
}

t.test('a pipe nobody reads: lines are dropped and counted, then writing goes on', async t => {
  const seen = warnings(t)
  const path = join(t.testdir(), 'pipe')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const log = lineLog(path)
  const before = droppedLines()
  const line = 'z'.repeat(1000)
  for (let i = 0; i < 3000; i++) log.write(line)
  await until(() => seen.length > 0)
  t.match(seen, [/too slow/])
  const text = await drain(fd, text => text.endsWith('dropped\n'))
  const kept = text.split('\n').filter(each => each === line).length
  const dropped = Number(/^(\d+) lines dropped/m.exec(text)?.[1])
  t.equal(kept + dropped, 3000)
  t.equal(droppedLines() - before, dropped)
  t.ok(kept >= 1000 && kept < 1100, `${kept} kept`)
  log.write('again')
  t.match(await drain(fd, text => text.endsWith('again\n')), /again\n$/)

  for (let i = 0; i < 3000; i++) log.write(line)
  const start = performance.now()
  await closeLogs()
  t.ok(performance.now() - start < 10_000, 'closing does not wait for the reader')
  closeSync(fd)
})

t.test('a pipe without a reader is not waited for', async t => {
  const seen = warnings(t)
  const path = join(t.testdir(), 'pipe')
  execFileSync('mkfifo', [path])
  lineLog(path).write('lost')
  await until(() => seen.length > 0)
  t.match(seen, [/ENXIO/])
  const times: number[] = []
  for (let i = 0; i < 5; i++) {
    lineLog(path).write('lost')
    const start = performance.now()
    await closeLogs()
    times.push(performance.now() - start)
  }
  t.ok(Math.min(...times) < 400, `${times.join(', ')} ms, not the half second that a log may take`)
})

t.test('rotation of a log that fails: what waits goes to the new file, in whole lines', async t => {
  warnings(t)
  const path = join(t.testdir(), 'log')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const lines = Array.from({ length: 100 }, (_, i) => String(i).padStart(6000, '-'))
  for (const line of lines) lineLog(path).write(line)
  await settle(100)
  renameSync(path, `${path}.1`)
  reopenLogs()
  await until(() => textOf(path).endsWith(' dropped\n'))
  await closeLogs()
  const old = await drain(fd, text => text.length >= 60_000)
  const moved = readFileSync(path, 'utf8').split('\n')
  t.strictSame(
    moved.filter(line => !lines.includes(line)),
    ['1 line dropped', ''],
    'no part of a line',
  )
  t.ok(moved.length > 80, `${moved.length} lines in the new file`)
  t.equal(moved.at(-3), lines.at(-1))
  const whole = old.split('\n').slice(0, -1)
  t.strictSame(whole, lines.slice(0, whole.length))
  t.equal(whole.length + moved.length - 2, 99, 'the line whose beginning is in the old file is dropped')
  closeSync(fd)
})

t.test('rotation while lines wait: those before it go to the old file', async t => {
  const path = join(t.testdir(), 'log')
  lineLog(path).write('first')
  await until(() => textOf(path) === 'first\n')
  for (let i = 0; i < 3000; i++) lineLog(path).write(`old ${i} ${'x'.repeat(200)}`)
  renameSync(path, `${path}.1`)
  reopenLogs()
  for (let i = 0; i < 100; i++) lineLog(path).write(`new ${i}`)
  await until(() => textOf(path).endsWith('new 99\n'))
  await closeLogs()
  t.equal(readFileSync(`${path}.1`, 'utf8').match(/^old/gm)?.length, 3000)
  t.equal(readFileSync(path, 'utf8').match(/^new/gm)?.length, 100)
  t.notMatch(readFileSync(path, 'utf8'), /old/)
})

t.test('what was logged before process.exit is written', t => {
  const path = join(t.testdir(), 'log')
  const program = `
    const { lineLog } = await import(${JSON.stringify(pathToFileURL(MODULE).href)})
    for (let i = 0; i < 5000; i++) lineLog(${JSON.stringify(path)}).write('line ' + i)
    process.exit()`
  t.equal(spawnSync(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' }).status, 0)
  t.equal(readFileSync(path, 'utf8').split('\n').length, 5001)
  t.end()
})
