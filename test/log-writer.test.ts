import fs, { fstatSync, readFileSync, writeSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { fileTarget } from '../lib/log/log-target.ts'
import { LogWriter } from '../lib/log/log-writer.ts'

type Write = typeof fs.write
type Done = Parameters<Write>[2] & ((error: null, written: number) => void)

/** Puts another function in the place of `write` until the test is over. */
function replaceWrite(t: Test, make: (original: Write) => (fd: number, octets: Buffer, done: Done) => void): void {
  const original = fs.write
  Object.assign(fs, { write: make(original) })
  syncBuiltinESMExports()
  t.teardown(() => {
    Object.assign(fs, { write: original })
    syncBuiltinESMExports()
  })
}

/** Counts the writes to files from now on: those that were begun, and those whose end the writer has been told. */
function countWrites(t: Test): { readonly begun: number; readonly ended: number } {
  const count = { begun: 0, ended: 0 }
  replaceWrite(t, original => (fd, octets, done) => {
    count.begun += 1
    original(fd, octets, (error, written) => {
      done(error as null, written)
      count.ended += 1
    })
  })
  return count
}

function openWriter(t: Test): { writer: LogWriter; text(): string } {
  const path = join(t.testdir(), 'log')
  const writer = new LogWriter(fileTarget(path), { showDropped: String, warn: message => t.fail(message) })
  return { writer, text: () => readFileSync(path, 'utf8') }
}

/** Waits until so many octets are in the file: close() itself would not wait for a disk that takes its time. */
async function untilWritten(text: () => string, octets: number): Promise<void> {
  while (text().length < octets) await setTimeout(5)
}

t.test('a log that is written to in each turn costs a write every 20 ms', async t => {
  const writes = countWrites(t)
  const { writer, text } = openWriter(t)
  const began = performance.now()
  const lines: string[] = []
  while (performance.now() - began < 200) {
    lines.push(`line ${lines.length}`)
    writer.write(lines.at(-1)!)
    await setTimeout(1)
  }
  const expected = `${lines.join('\n')}\n`
  await untilWritten(text, expected.length)
  const most = (performance.now() - began) / 20 + 3
  t.ok(writes.begun <= most, `${writes.begun} writes of ${lines.length} lines`)
  t.equal(text(), expected)
  await writer.close()
})

t.test('a line after a quiet time is written after this turn', async t => {
  const writes = countWrites(t)
  const { writer, text } = openWriter(t)
  writer.write('one')
  while (writes.ended < 1) await setImmediate()
  await setTimeout(100)
  writer.write('two')
  await setImmediate()
  t.equal(writes.begun, 2)
  await untilWritten(text, 'one\ntwo\n'.length)
  t.equal(text(), 'one\ntwo\n')
  await writer.close()
})

t.test('more than a batch does not wait', async t => {
  const writes = countWrites(t)
  const { writer, text } = openWriter(t)
  writer.write('first')
  while (writes.ended < 1) await setImmediate()
  for (let lines = 0; lines < 100; lines += 1) writer.write('x'.repeat(1000))
  await setImmediate()
  t.equal(writes.begun, 2)
  await untilWritten(text, 6 + 100 * 1001)
  t.equal(text().length, 6 + 100 * 1001)
  await writer.close()
})

t.test('a rotation does not wait: what was queued goes to the file before it', async t => {
  const { writer, text } = openWriter(t)
  writer.write('one')
  await setTimeout(5)
  writer.write('two')
  writer.reopen()
  writer.write('three')
  await untilWritten(text, 'one\ntwo\nthree\n'.length)
  t.equal(text(), 'one\ntwo\nthree\n')
  await writer.close()
})

t.test('an exit right behind a rotation writes what waits for the new file', async t => {
  const writing: { readonly fd: number; end(): void }[] = []
  replaceWrite(t, () => (fd, octets, done) => {
    const written = writeSync(fd, octets)
    writing.push({ fd, end: () => done(null, written) })
  })
  const { writer, text } = openWriter(t)
  writer.write('one')
  await setImmediate()
  const [first] = writing
  writer.write('two')
  writer.reopen()
  writer.write('three')
  writer.flushSync()
  t.equal(text(), 'one\ntwo\nthree\n')
  t.doesNotThrow(() => fstatSync(first!.fd), 'a file that is being written to keeps its number')
  first!.end()
  t.throws(() => fstatSync(first!.fd), { code: 'EBADF' })
  await writer.close()
})
