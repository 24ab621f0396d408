import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, renameSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { closeLogs, lineLog, reopenLogs } from '../lib/log/line-log.ts'

const MODULE = join(import.meta.dirname, '..', 'lib', 'stream', 'line-log.js')
const loaded = (): boolean =>
  createRequire(import.meta.url).resolve('sonic-boom') in createRequire(import.meta.url).cache
const settle = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** The process warnings from now on. */
function warnings(t: { teardown(fn: () => void): void }): string[] {
  const seen: string[] = []
  const listen = (warning: Error): void => void (warning.name === 'MailHandlerWarning' && seen.push(warning.message))
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  return seen
}

t.test('loads and opens nothing before the first line', async t => {
  const path = join(t.testdir(), 'log')
  const log = lineLog(path)
  t.notOk(loaded())
  t.notOk(existsSync(path))
  log.write('one')
  t.ok(loaded())
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
  renameSync(path, `${path}.1`)
  reopenLogs()
  lineLog(path).write('two')
  await settle(50)
  await closeLogs()
  t.equal(readFileSync(`${path}.1`, 'utf8'), 'one\n')
  t.equal(readFileSync(path, 'utf8'), 'two\n')
})

t.test('a file that cannot be opened: one warning, and lines again once it can', async t => {
  const seen = warnings(t)
  const path = join(t.testdir(), 'missing', 'log')
  for (let i = 0; i < 10; i++) lineLog(path).write('lost')
  await settle(10)
  t.equal(seen.length, 1)
  t.match(seen[0], /ENOENT/)
  mkdirSync(join(path, '..'))
  lineLog(path).write('kept')
  await closeLogs()
  t.equal(readFileSync(path, 'utf8'), 'kept\n')
})

t.test(
  'a disk that fails: one warning, bounded memory, and closing still settles',
  { skip: !existsSync('/dev/full') },
  async t => {
    const seen = warnings(t)
    const line = 'z'.repeat(8000)
    const before = process.memoryUsage().rss
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 500; j++) lineLog('/dev/full').write(line)
      await settle(1)
    }
    t.ok(process.memoryUsage().rss - before < 60 * 2 ** 20, 'of 80 MB')
    t.equal(seen.length, 1)
    await closeLogs()
  },
)

t.test('a slow disk: lines are dropped and counted, and writing goes on', async t => {
  const seen = warnings(t)
  const path = join(t.testdir(), 'pipe')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, 'r+')
  const log = lineLog(path)
  const line = 'z'.repeat(1000)
  for (let i = 0; i < 3000; i++) log.write(line)
  await settle(10)
  t.match(seen, [/slow/])
  const chunk = Buffer.alloc(2 ** 16)
  let text = ''
  for (let i = 0; i < 500 && !text.includes('dropped'); i++) {
    text += chunk.toString('latin1', 0, readSync(fd, chunk))
    await settle(1)
  }
  const kept = text.split('\n').filter(l => l === line).length
  const dropped = Number(/^(\d+) lines dropped/m.exec(text)?.[1])
  t.equal(kept + dropped, 3000)
  t.ok(kept >= 1000 && kept < 1100, `${kept} kept`)
  await closeLogs()
  closeSync(fd)
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
