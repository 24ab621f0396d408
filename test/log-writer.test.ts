import fs, { readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { fileTarget } from '../lib/log/log-target.ts'
import { LogWriter } from '../lib/log/log-writer.ts'

/** Counts the writes to files from now on. */
function countWrites(t: Test): () => number {
  const original = fs.write
  let count = 0
  Object.assign(fs, {
    write: (...args: Parameters<typeof original>) => {
      count += 1
      original(...args)
    },
  })
  syncBuiltinESMExports()
  t.teardown(() => {
    Object.assign(fs, { write: original })
    syncBuiltinESMExports()
  })
  return () => count
}

function openWriter(t: Test): { writer: LogWriter; text(): string } {
  const path = join(t.testdir(), 'log')
  const writer = new LogWriter(fileTarget(path), { showDropped: String, warn: message => t.fail(message) })
  return { writer, text: () => readFileSync(path, 'utf8') }
}

t.test('a log that is written to in each turn costs a write every 20 ms', async t => {
  const writes = countWrites(t)
  const { writer, text } = openWriter(t)
  const began = performance.now()
  let lines = 0
  while (performance.now() - began < 200) {
    writer.write(`line ${(lines += 1)}`)
    await setTimeout(1)
  }
  await writer.close()
  const most = (performance.now() - began) / 20 + 3
  t.ok(writes() <= most, `${writes()} writes of ${lines} lines`)
  t.equal(text(), Array.from({ length: lines }, (_, i) => `line ${i + 1}\n`).join(''))
})

t.test('a line after a quiet time is written after this turn', async t => {
  const { writer, text } = openWriter(t)
  writer.write('one')
  await setTimeout(100)
  writer.write('two')
  for (let turns = 0; turns < 1000 && text() !== 'one\ntwo\n'; turns += 1) await setImmediate()
  t.equal(text(), 'one\ntwo\n')
  await writer.close()
})

t.test('more than a batch does not wait', async t => {
  const writes = countWrites(t)
  const { writer, text } = openWriter(t)
  writer.write('first')
  while (writes() === 0) await setImmediate()
  for (let lines = 0; lines < 100; lines += 1) writer.write('x'.repeat(1000))
  while (writes() < 2) await setImmediate()
  await writer.close()
  t.equal(text().length, 6 + 100 * 1001)
})

t.test('a rotation does not wait: what was queued goes to the file before it', async t => {
  const { writer, text } = openWriter(t)
  writer.write('one')
  await setTimeout(5)
  writer.write('two')
  writer.reopen()
  writer.write('three')
  await writer.close()
  t.equal(text(), 'one\ntwo\nthree\n')
})

t.test('an exit right behind a rotation writes what waits for the new file', async t => {
  const { writer, text } = openWriter(t)
  writer.write('one')
  await setImmediate()
  writer.write('two')
  writer.reopen()
  writer.write('three')
  writer.flushSync()
  t.match(text(), /two\nthree\n$/)
  await writer.close()
})
