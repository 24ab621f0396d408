// BDAT: where chunks are cut, how many wait for their replies, and what is left behind.

import { Readable } from 'node:stream'
import t from 'tap'
import { SmtpClient, type SmtpClientOptions } from '../lib/client.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { serveScript, type Script, type ScriptedServer } from './fixtures/scripted-server.ts'

const CHUNK = 262_144

async function ready(
  script: Script = {},
  options: SmtpClientOptions = {},
): Promise<{ client: SmtpClient; server: ScriptedServer }> {
  const client = new SmtpClient({ name: 'client.example', tls: { mode: 'never' }, ...options })
  const server = serveScript(client, script)
  await client.mail('a@b')
  await client.rcpt('c@d')
  return { client, server }
}

t.test('where chunks are cut', async t => {
  const cases: [octets: number, lines: string[]][] = [
    [0, ['BDAT 0 LAST']],
    [1, ['BDAT 1 LAST']],
    [CHUNK - 1, ['BDAT 262143 LAST']],
    [CHUNK, ['BDAT 262144 LAST']],
    [CHUNK + 1, ['BDAT 262144', 'BDAT 1 LAST']],
    [2 * CHUNK, ['BDAT 262144', 'BDAT 262144 LAST']],
    [2 * CHUNK + 1, ['BDAT 262144', 'BDAT 262144', 'BDAT 1 LAST']],
  ]
  for (const [octets, lines] of cases) {
    for (const size of [1_000_000, 65_536, 100_000]) {
      const { client, server } = await ready()
      const data = Buffer.alloc(octets)
      for (let i = 0; i < octets; i++) data[i] = 65 + (i % 26)
      const chunks = Array.from({ length: Math.ceil(octets / size) }, (_, i) => data.subarray(i * size, (i + 1) * size))
      t.match(await client.bdat(Readable.from(chunks)), [{ code: 250 }])
      t.strictSame(server.lines.slice(3), lines, `${octets} by ${size}`)
      t.equal(server.messages[0] === data.toString('latin1'), true)
    }
  }
})

t.test('chunks that wait for a reply: four, or one without PIPELINING', async t => {
  for (const [script, most] of [
    [{}, 4],
    [{ EHLO: '250-mx\r\n250 CHUNKING\r\n' }, 1],
  ] as const) {
    const { client, server } = await ready({ ...script, BDAT: () => {} })
    let octets = 0
    const source = new Readable({
      read() {
        setImmediate(() => {
          octets += 65_536
          this.push(Buffer.alloc(65_536, 'x'))
        })
      },
    })
    const message = client.bdat(source)
    await settle(60)
    const chunks = (): number => server.verbs.filter(verb => verb === 'BDAT').length
    t.equal(chunks(), most)
    const read = octets
    await settle(40)
    t.equal(octets, read, 'the source waits')
    server.say('250 OK\r\n')
    await settle(20)
    t.equal(chunks(), most + 1, 'a reply lets one more go')
    client.destroy()
    await t.rejects(message, { code: 'ERR_CONNECTION_LOST' })
    t.equal(source.destroyed, true)
  }
})

t.test('a slow source: the time counts from the first octet that is held', async t => {
  const clock = new FakeClock()
  const { client, server } = await ready({}, { clock })
  const source = new Readable({ read() {} })
  const message = client.bdat(source)
  const chunks = (): string[] => server.lines.slice(3)
  await clock.tick(100_000)
  source.push('a\r\n')
  await clock.tick(29_999)
  source.push('b\r\n')
  await settle()
  t.strictSame(chunks(), [])
  await clock.tick(1)
  source.push('c\r\n')
  await settle()
  t.strictSame(chunks(), ['BDAT 9'])
  // A full chunk that leaves a rest: the rest is held from then on.
  source.push(Buffer.alloc(CHUNK + 5, 'x'))
  await clock.tick(29_999)
  source.push('y')
  await settle()
  t.strictSame(chunks(), ['BDAT 9', 'BDAT 262144'])
  await clock.tick(1)
  source.push('z')
  await settle()
  t.strictSame(chunks(), ['BDAT 9', 'BDAT 262144', 'BDAT 7'])
  source.push(null)
  t.match(await message, [{ code: 250 }])
})

t.test('refused while the server does not read: the limit for that is over, too', async t => {
  const clock = new FakeClock()
  const { client, server } = await ready({ BDAT: () => {} }, { clock })
  const source = new Readable({ read() {} })
  const message = client.bdat(source)
  await settle()
  server.socket.pause()
  source.push(Buffer.alloc(3 * CHUNK, 'x'))
  await settle(20)
  server.say('552 5.3.4 Too large\r\n')
  t.match(await message, [{ code: 552 }])
  server.say('503 5.5.1 Failed\r\n')
  server.socket.resume()
  await settle(20)
  await clock.tick(200_000)
  t.equal(client.failure, null)
  t.match(await client.rset(), { code: 250 })
})

t.test('a reply of 399 or 600 is none, 400 and 599 are refusals', async t => {
  for (const [code, expected] of [
    [399, { code: 'ERR_REPLY_UNEXPECTED' }],
    [400, [{ code: 400 }]],
    [599, [{ code: 599 }]],
    [600, { code: 'ERR_REPLY_UNEXPECTED' }],
  ] as const) {
    const { client } = await ready({ BDAT: `${code} Hm\r\n` })
    const source = new Readable({ read() {} })
    source.push(Buffer.alloc(CHUNK + 1, 'x'))
    t.match(await client.bdat(source).catch((error: unknown) => error), expected, String(code))
    t.equal(source.destroyed, true)
  }
})
