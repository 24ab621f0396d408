import t from 'tap'
import { once } from 'node:events'
import { randomChunks, rechunk } from '../lib/testing/index.ts'
import { TakingHandler, type TakingOptions } from './fixtures/taking-handler.ts'

// Mail data that others may take for two messages. What stands behind the false end must never be run as a command.

const octets = (text: string) => Buffer.from(text, 'latin1')
const SMUGGLED = 'MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nsmuggled\r\n'

const FALSE_ENDS: readonly string[] = [
  '\n.\n',
  '\n.\r\n',
  '\r\n.\n',
  '\r.\r',
  '\r.\r\n',
  '\r\n.\r',
  '\r.\n',
  '\n.\r',
  '\n\r.\r\n',
  '\r\n\r.\r\n',
  '\r\n.\0\r\n',
  '\r\n\0.\r\n',
  '\r\0\n.\r\n',
  '\r\n.\r\0\n',
  '\0.\r\n',
  '\r\n.\0\0\r\n',
  '\r\n..\r\n',
  '\n..\n',
  '\n..\r\n',
  '\r\n..\n',
  '\r..\r',
  '\r..\r\n',
  '\r\n..\r',
  '\r\n...\r\n',
  '\r\n.\r\r\n',
  '\r\n.\r.\r\n',
  '\r\n. \r\n',
  '\r\n.x\r\n',
  '\r\n .\r\n',
  '\r\n\t.\r\n',
  '\r\n.\x1a\r\n',
  '\r\n.\r\x85',
  '\x85.\x85',
  '\r\n.\u0085',
  '\x0b.\x0b',
  '\r\n.\x0c\r\n',
  '\r\n\xae\r\n',
  '\r\n.\x8d\x8a',
  '\x8d\x8a.\r\n',
]

async function talk(chunks: readonly Buffer[], options: TakingOptions = {}) {
  const handler = new TakingHandler(options)
  let said = ''
  handler.on('data', piece => (said += String(piece)))
  for (const chunk of chunks) handler.write(chunk)
  handler.end()
  await once(handler, 'close')
  return { handler, codes: said.replace(/(?<=^\d{3}).*\r\n/gm, ' ').trim() }
}

function everySplit(wire: Buffer): Buffer[][] {
  const splits = Array.from({ length: wire.length - 1 }, (_, i) => [wire.subarray(0, i + 1), wire.subarray(i + 1)])
  return splits.concat([[wire], rechunk(wire, [1]), rechunk(wire, [2]), rechunk(wire, [3])])
}

t.test('what is no end of data ends none: in one message, at every split', async t => {
  for (const end of FALSE_ENDS) {
    const data = `before${end}${SMUGGLED}`
    const wire = octets(`DATA\r\n${data}.\r\nQUIT\r\n`)
    for (const chunks of everySplit(wire)) {
      const { handler, codes } = await talk(chunks)
      if (codes === '220 354 250 221' && handler.messages[0] === data && handler.commands.join() === 'DATA,QUIT')
        continue
      t.fail(`${JSON.stringify(end)} in chunks of ${chunks.map(chunk => chunk.length).join()}: ${codes}`)
    }
    t.pass(JSON.stringify(end))
  }
})

t.test('with bare CR and LF refused, too; the refusal comes after the true end', async t => {
  for (const end of FALSE_ENDS) {
    const bare = /(?<!\r)\n|\r(?!\n)/.test(end)
    const wire = octets(`DATA\r\nbefore${end}${SMUGGLED}.\r\nNOOP\r\nQUIT\r\n`)
    for (const choose of [
      (body: Parameters<TakingHandler['handleBody']>[0]) => body.refuseBareNewlines(),
      (body: Parameters<TakingHandler['handleBody']>[0]) => body.refuseBareNewlines().unstuffed(),
    ]) {
      for (const chunks of [
        [wire],
        rechunk(wire, [1]),
        rechunk(wire, [7]),
        randomChunks(wire, 1),
        randomChunks(wire, 2),
      ]) {
        const { handler, codes } = await talk(chunks, { choose })
        const expected = bare ? '220 354 550 250 221' : '220 354 250 250 221'
        if (codes === expected && handler.commands.join() === 'DATA,NOOP,QUIT') continue
        t.fail(`${JSON.stringify(end)} in chunks of ${chunks.map(chunk => chunk.length).join()}: ${codes}`)
      }
    }
    t.pass(JSON.stringify(end))
  }
})

t.test('a true end is one, whatever stands before it', async t => {
  const cases: readonly [data: string, read: string][] = [
    ['', ''],
    ['\r\n', '\r\n'],
    ['..\r\n', '.\r\n'],
    ['a\r\r\n', 'a\r\r\n'],
    ['\r\r\n', '\r\r\n'],
    ['a\r\n.\r\r\n', 'a\r\n\r\r\n'],
    ['a\r\n.\rX\r\n', 'a\r\n\rX\r\n'],
    ['a\r\n.\r.\r\n', 'a\r\n\r.\r\n'],
    ['a\n.\n\r\n', 'a\n.\n\r\n'],
    ['a\r\n..\r\n..\r\n', 'a\r\n.\r\n.\r\n'],
    ['a\r\n\r\n', 'a\r\n\r\n'],
    ['\0\r\n', '\0\r\n'],
  ]
  for (const [data, read] of cases) {
    const wire = octets(`DATA\r\n${data}.\r\nNOOP behind\r\nDATA\r\n${data}.\r\nQUIT\r\n`)
    for (const chunks of everySplit(wire)) {
      const raw = await talk(chunks)
      const plain = await talk(chunks, { choose: body => body.unstuffed() })
      for (const [{ handler, codes }, expected] of [
        [raw, data],
        [plain, read],
      ] as const) {
        const right = handler.messages.length === 2 && handler.messages.every(message => message === expected)
        if (codes === '220 354 250 250 354 250 221' && right) continue
        t.fail(`${JSON.stringify(data)} in chunks of ${chunks.map(chunk => chunk.length).join()}: ${codes}`)
      }
    }
    t.pass(JSON.stringify(data))
  }
})

t.test('the same tricks in commands: refused, and nothing behind them is ever run', async t => {
  const cases: readonly [wire: string, codes: string, commands: string][] = [
    ['NOOP a\nNOOP b\r\n', '220 500', ''],
    ['NOOP a\rNOOP b\r\n', '220 500', ''],
    ['NOOP a\0\r\nNOOP b\r\n', '220 500 250', 'NOOP b'],
    ['NOOP a\r\n\nNOOP b\r\n', '220 250 500', 'NOOP a'],
    ['DATA\nx\r\n.\r\n', '220 500', ''],
    ['DATA\r\r\nNOOP\r\n', '220 500', ''],
    ['DATA\r\n.\nQUIT\r\n.\r\nNOOP\r\n', '220 354 250 250', 'DATA,NOOP'],
  ]
  for (const [wire, expected, commands] of cases) {
    for (const chunks of everySplit(octets(wire))) {
      const { handler, codes } = await talk(chunks)
      if (codes === expected && handler.commands.join() === commands) continue
      t.fail(`${JSON.stringify(wire)} in chunks of ${chunks.map(chunk => chunk.length).join()}: ${codes}`)
    }
    t.pass(JSON.stringify(wire))
  }
})

t.test('one session does not see what another has left behind', async t => {
  for (const rest of ['\n', 'NOOP secret', 'NOOP secret\r', '\r', 'NOOP secret\n']) {
    const left = new TakingHandler()
    left.resume().write(rest)
    const { handler, codes } = await talk([octets('\0\r\n'), octets('NOOP mine\r\n')])
    t.equal(codes, '220 500 250')
    t.strictSame(handler.commands, ['NOOP mine'])
    left.destroy()
  }
})
