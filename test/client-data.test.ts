// Mail data on its way out: DATA and BDAT, what may leave, backpressure, and what happens when it stops halfway.

import { Readable } from 'node:stream'
import t from 'tap'
import { SmtpClient, type SmtpClientOptions } from '../lib/client.ts'
import { SmtpHandler } from '../lib/index.ts'
import { duplexPair, randomChunks } from '../lib/testing/index.ts'
import { stuff } from '../lib/testing/mail-data.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { serveScript, type Script, type ScriptedServer } from './fixtures/scripted-server.ts'
import { cuts } from './fixtures/streams.ts'

const CLEAR: SmtpClientOptions = { name: 'client.example', tls: { mode: 'never' } }

interface Ready {
  readonly client: SmtpClient
  readonly server: ScriptedServer
}

/** A client with a transaction that waits for its mail data. */
async function ready(script: Script = {}, options: SmtpClientOptions = {}, body?: 'BINARYMIME'): Promise<Ready> {
  const client = new SmtpClient({ ...CLEAR, ...options })
  const server = serveScript(client, script)
  await client.mail('a@b', body === undefined ? {} : { body })
  await client.rcpt('c@d')
  return { client, server }
}

/** A stream of these chunks, each in a turn of its own. */
function chunked(chunks: readonly (string | Buffer)[]): Readable {
  return Readable.from(chunks.map(chunk => Buffer.from(chunk as string, 'latin1')))
}

const SHAPES = [
  '',
  '.',
  '..',
  '.\r\n',
  '.\r\n.\r\n',
  'a',
  'a\r\n',
  'a\r\n.b\r\n..c',
  '\r\n',
  '\r\n\r\n.',
  'no end',
  'é\r\n.é',
  '\0\r\n.\0',
]

t.test('DATA: stuffed by the client, at every cut', async t => {
  for (const shape of SHAPES) {
    const wire = stuff(Buffer.from(shape, 'latin1')).toString('latin1').slice(0, -3)
    for (const chunks of cuts(shape)) {
      const { client, server } = await ready()
      t.match(await client.data(chunked(chunks)), [{ code: 250 }])
      t.strictSame(server.messages, [wire], JSON.stringify(chunks))
      t.match(await client.noop(), { code: 250 })
    }
  }
})

t.test('DATA: octets that are stuffed already go as they are, at every cut', async t => {
  for (const shape of ['', 'a', 'a\r\n', '..\r\n', '.x\r\n', '..', 'a\r\n..', 'a\r\n..\r\n.b\r\n', '.x']) {
    for (const chunks of cuts(shape)) {
      const { client, server } = await ready()
      t.match(await client.data(chunked(chunks), { stuffed: true }), [{ code: 250 }])
      t.strictSame(server.messages, [shape === '' || shape.endsWith('\r\n') ? shape : `${shape}\r\n`])
    }
  }
})

t.test('DATA: stuffed octets with an end of mail data in them never leave', async t => {
  for (const shape of [
    '.',
    '.\r\n',
    'a\r\n.',
    'a\r\n.\r\n',
    'a\r\n.\r\nMAIL FROM:<x@y>\r\n',
    '..\r\n.\r\nb',
    '\r\n.\r\n',
  ]) {
    for (const chunks of cuts(shape)) {
      const { client, server } = await ready()
      const error = { code: 'ERR_ABORTED', step: 'data', message: /end of mail data|dot alone/ }
      await t.rejects(client.data(chunked(chunks), { stuffed: true }), error, JSON.stringify(chunks))
      await settle()
      t.strictSame(server.messages, [])
      t.ok(client.destroyed && server.gone)
    }
  }
})

const BARE = [
  '\n',
  '\r',
  'a\nb',
  'a\rb',
  'a\r',
  'a\r\r\nb',
  'a\r\n\nb',
  '\n.\r\n',
  '\r.\r',
  'a\n.\nb',
  'a\r\n.\rb',
  'ok\r\nx\r\n\r',
]

t.test('DATA: a bare CR or LF never leaves, at no cut, stuffed or not', async t => {
  for (const shape of BARE) {
    for (const chunks of cuts(shape)) {
      for (const stuffed of [false, true]) {
        const { client, server } = await ready()
        const before = server.received.length
        await t.rejects(client.data(chunked(chunks), { stuffed }), { code: 'ERR_BARE_NEWLINE', step: 'data' })
        await settle()
        const left = server.received.subarray(before).toString('latin1').replace('DATA\r\n', '')
        t.notMatch(left, /\r(?!\n)|(?<!\r)\n/, JSON.stringify([chunks, left]))
        t.strictSame(server.messages, [], 'no end of mail data')
        t.ok(client.destroyed && server.gone)
      }
    }
  }
})

t.test('BDAT: octets as they are, at every cut, and a bare CR or LF never leaves', async t => {
  for (const shape of SHAPES) {
    for (const chunks of cuts(shape)) {
      const { client, server } = await ready()
      t.match(await client.bdat(chunked(chunks)), [{ code: 250 }])
      t.strictSame(server.messages, [shape])
      t.equal(server.lines.at(-1), `BDAT ${shape.length} LAST`)
    }
  }
  for (const shape of BARE) {
    for (const chunks of cuts(shape)) {
      const { client, server } = await ready()
      await t.rejects(client.bdat(chunked(chunks)), { code: 'ERR_BARE_NEWLINE', step: 'BDAT' })
      t.notOk(server.verbs.includes('BDAT'))
      await t.rejects(client.mail('a@b'), { code: 'ERR_ORDER' })
      t.match(await client.rset(), { code: 250 }, 'and the session goes on')
      t.match(await client.mail('a@b'), { code: 250 })
    }
  }
})

t.test('BINARYMIME: any octets by BDAT, never by DATA', async t => {
  for (const shape of BARE) {
    const { client, server } = await ready({}, {}, 'BINARYMIME')
    await t.rejects(client.data(shape), { code: 'ERR_ORDER', step: 'DATA' })
    t.match(await client.bdat(shape), [{ code: 250 }])
    t.strictSame(server.messages, [shape])
    await client.mail('a@b')
    await client.rcpt('c@d')
    await t.rejects(client.bdat(shape), { code: 'ERR_BARE_NEWLINE' }, 'for that message alone')
  }
})

t.test('BDAT: chunks of at most 256 KiB, each announced once it is here, LAST at the end of the source', async t => {
  const octets = Buffer.alloc(600_000, 'x'.repeat(98) + '\r\n')
  for (const script of [{}, { EHLO: '250-mx\r\n250 CHUNKING\r\n' }]) {
    for (const chunks of [
      [octets],
      [...randomChunks(octets, 1)].slice(0),
      [octets.subarray(0, 1), octets.subarray(1)],
    ]) {
      const { client, server } = await ready(script)
      t.match(await client.bdat(Readable.from(chunks)), [{ code: 250 }])
      t.strictSame(server.lines.slice(3), ['BDAT 262144', 'BDAT 262144', 'BDAT 75712 LAST'])
      t.equal(server.messages[0]?.length, 600_000)
      t.equal(Buffer.from(server.messages[0]!, 'latin1').equals(octets), true)
    }
  }
})

t.test('BDAT: commands that are called meanwhile come after the last chunk', async t => {
  const { client, server } = await ready()
  const source = new Readable({ read() {} })
  source.push(Buffer.alloc(262_145, 'x'))
  const message = client.bdat(source)
  const next = client.mail('e@f')
  await settle()
  source.push(null)
  t.match(await message, [{ code: 250 }])
  t.match(await next, { code: 250 })
  t.strictSame(server.verbs.slice(3), ['BDAT', 'BDAT', 'MAIL'])
})

t.test('BDAT: a slow source is sent in part, before the server gives up', async t => {
  const clock = new FakeClock()
  const { client, server } = await ready({}, { clock })
  const source = new Readable({ read() {} })
  const message = client.bdat(source)
  for (let i = 0; i < 8; i++) {
    source.push('0123456789\r\n')
    await clock.tick(10_000)
  }
  source.push(null)
  t.match(await message, [{ code: 250 }])
  t.strictSame(server.lines.slice(3), ['BDAT 48', 'BDAT 48', 'BDAT 0 LAST'])
})

t.test('BDAT: a chunk that is refused is the answer, and RSET must follow', async t => {
  let chunks = 0
  const { client, server } = await ready({ BDAT: () => (++chunks === 2 ? '552 5.3.4 Too large\r\n' : '250 OK\r\n') })
  const source = new Readable({ read() {} })
  source.push(Buffer.alloc(600_000, 'x'))
  const refused = client.bdat(source)
  const behind = [client.mail('e@f'), client.rcpt('g@h'), client.bdat('y'), client.rset(), client.mail('i@j')]
  t.match(await refused, [{ code: 552, status: '5.3.4' }])
  t.equal(source.destroyed, true)
  t.match(await Promise.allSettled(behind), [
    { reason: { code: 'ERR_ORDER', step: 'BDAT' } },
    { reason: { code: 'ERR_ORDER', step: 'BDAT' } },
    { reason: { code: 'ERR_ORDER', step: 'BDAT' } },
    { value: { code: 250 } },
    { value: { code: 250 } },
  ])
  t.strictSame(server.verbs.slice(3), ['BDAT', 'BDAT', 'RSET', 'MAIL'])
})

t.test('BDAT: after a refusal nothing continues the message but RSET', async t => {
  const { client, server } = await ready({ BDAT: '452 4.3.1 Full\r\n' })
  const source = new Readable({ read() {} })
  source.push(Buffer.alloc(300_000, 'x'))
  t.match(await client.bdat(source), [{ code: 452 }])
  await t.rejects(client.bdat('rest'), { code: 'ERR_ORDER', step: 'BDAT', message: /rset/ })
  await t.rejects(client.rcpt('c@d'), { code: 'ERR_ORDER', step: 'RCPT' })
  await t.rejects(client.startData(), { code: 'ERR_ORDER', step: 'DATA' })
  await t.rejects(client.mail('a@b'), { code: 'ERR_ORDER', step: 'MAIL' })
  t.match(await client.noop(), { code: 250 })
  t.match(await client.rset(), { code: 250 })
  t.match(await client.mail('a@b'), { code: 250 })
  t.strictSame(server.messages, [])
})

t.test('BDAT: two messages called at once follow each other, each behind its own envelope', async t => {
  const client = new SmtpClient(CLEAR)
  const server = serveScript(client)
  const all = [1, 2].flatMap(i => [
    client.mail(`${i}@b`),
    client.rcpt(`${i}@d`),
    client.bdat(`${i}`.repeat(300_000)).then(([reply]) => reply!),
  ])
  for (const reply of await Promise.all(all)) t.equal(reply.code, 250)
  const one = ['MAIL', 'RCPT', 'BDAT', 'BDAT']
  t.strictSame(server.verbs, ['EHLO', ...one, ...one])
  t.strictSame(
    server.messages.map(message => [message[0], message.length]),
    [
      ['1', 300_000],
      ['2', 300_000],
    ],
  )
})

t.test('BDAT waits for the reply to MAIL: without a sender it would continue what was before', async t => {
  const client = new SmtpClient(CLEAR)
  const server = serveScript(client, { MAIL: '503 5.5.1 Nested\r\n' })
  const all = [client.mail('a@b'), client.rcpt('c@d'), client.bdat('x').then(() => {}), client.rset()]
  t.match(await Promise.allSettled(all), [
    { value: { code: 503 } },
    { value: { code: 250 } },
    { reason: { code: 'ERR_ORDER', step: 'BDAT', message: /MAIL/ } },
    { value: { code: 250 } },
  ])
  t.strictSame(server.verbs, ['EHLO', 'MAIL', 'RCPT', 'RSET'])
})

t.test('DATA after a MAIL that was refused: 354 is for a transaction before, and gets no mail data', async t => {
  const client = new SmtpClient(CLEAR)
  let senders = 0
  let datas = 0
  const server = serveScript(client, {
    MAIL: () => (++senders === 1 ? '250 OK\r\n' : '503 Nested\r\n'),
    DATA: () => (++datas === 1 ? '451 Later\r\n' : '354 Go\r\n'),
  })
  const first = [client.mail('a@b'), client.rcpt('c@d'), client.data('one')]
  const second = [client.mail('e@f'), client.rcpt('g@h'), client.data('two')]
  t.match(await Promise.all(first), [{ code: 250 }, { code: 250 }, [{ code: 451 }]])
  t.match(await Promise.allSettled(second), [
    { value: { code: 503 } },
    { value: { code: 250 } },
    { reason: { code: 'ERR_REPLY_UNEXPECTED', step: 'DATA' } },
  ])
  await settle()
  t.strictSame(server.messages, [])
  t.ok(client.destroyed && server.gone)
})

t.test('BDAT: refused while the last chunk is under way', async t => {
  const { client } = await ready({
    BDAT: line => (line.endsWith('LAST') ? '503 Out of order\r\n' : '452 4.3.1 Full\r\n'),
  })
  t.match(await client.bdat(Buffer.alloc(300_000, 'x')), [{ code: 452 }])
})

t.test('a source that fails: no end of mail data, no LAST', async t => {
  const failing = (fail: (source: Readable) => void): Readable => {
    const source = new Readable({ read() {} })
    source.push('half\r\n')
    setImmediate(fail, source)
    return source
  }
  const ways: [string, (source: Readable) => void, object][] = [
    ['an error', source => void source.destroy(new Error('disk')), { cause: { message: 'disk' } }],
    ['destroyed', source => void source.destroy(), { message: /cut short/ }],
  ]
  for (const [name, fail, more] of ways) {
    const { client, server } = await ready()
    await t.rejects(client.data(failing(fail)), { code: 'ERR_ABORTED', step: 'data', ...more }, name)
    await settle()
    t.strictSame(server.messages, [])
    t.notOk(server.received.includes('\r\n.\r\n'))
    t.ok(client.destroyed && server.gone)

    const bdat = await ready()
    await t.rejects(bdat.client.bdat(failing(fail)), { code: 'ERR_ABORTED', step: 'BDAT', ...more }, name)
    t.notOk(bdat.server.lines.some(line => line.endsWith('LAST')))
    t.match(await bdat.client.rset(), { code: 250 })
  }
  const gone = failing(() => {})
  gone.destroy()
  const { client } = await ready()
  await t.rejects(client.data(gone), { code: 'ERR_ABORTED', message: /read before/ })
  const read = Readable.from(['x'])
  for await (const _ of read);
  const other = await ready()
  await t.rejects(other.client.data(read), { code: 'ERR_ABORTED', message: /read before/ })
})

t.test('the source is read to its end, or destroyed', async t => {
  const lost = new Readable({ read() {} })
  const { client, server } = await ready()
  const data = client.data(lost)
  await settle()
  server.socket.destroy()
  await t.rejects(data, { code: 'ERR_CONNECTION_LOST', step: 'data' })
  t.equal(lost.destroyed, true)

  const refused = new Readable({ read() {} })
  const other = await ready({ DATA: '550 5.7.1 No\r\n' })
  t.match(await other.client.data(refused), [{ code: 550 }])
  t.equal(refused.destroyed, false, 'DATA was refused: it was not touched')
})

t.test('a reply before the end of mail data: a refusal is the answer, anything else no acceptance', async t => {
  for (const [code, expected] of [
    [550, [{ code: 550, lines: ['Early'] }]],
    [421, [{ code: 421 }]],
    [250, { code: 'ERR_REPLY_UNEXPECTED', step: 'data' }],
    [354, { code: 'ERR_REPLY_UNEXPECTED', step: 'data' }],
  ] as const) {
    const { client, server } = await ready()
    const source = new Readable({ read() {} })
    source.push('first\r\n')
    const data = client.data(source).catch((error: unknown) => error)
    await settle()
    server.say(`${code} Early\r\n`)
    t.match(await data, expected)
    await settle()
    t.equal(source.destroyed, true)
    t.ok(client.destroyed && server.gone)
    t.strictSame(server.messages, [])
  }
})

t.test('sendData() alone, and what may not come between', async t => {
  const { client, server } = await ready()
  await t.rejects(client.sendData('x'), { code: 'ERR_ORDER', step: 'data' })
  t.match(await client.startData(), { code: 354 })
  await t.rejects(client.mail('x@y'), { code: 'ERR_ORDER' })
  await t.rejects(client.startData(), { code: 'ERR_ORDER' })
  const noop = client.noop()
  await settle()
  t.equal(server.verbs.at(-1), 'DATA')
  t.match(await client.sendData('x'), [{ code: 250 }])
  t.match(await noop, { code: 250 })
})

/** A source that counts what was read of it; a chunk a turn, or nothing else would have one. */
function endless(chunk: Buffer): Readable & { octets: number } {
  const source = new Readable({
    highWaterMark: 65_536,
    read() {
      setImmediate(() => {
        Object.assign(source, { octets: source.octets + chunk.length })
        source.push(chunk)
      })
    },
  }) as Readable & { octets: number }
  return Object.assign(source, { octets: 0 })
}

const LINES = Buffer.alloc(65_536, `${'x'.repeat(62)}\r\n`)

t.test('backpressure: a server that does not read stops the source', async t => {
  for (const send of ['data', 'bdat'] as const) {
    const clock = new FakeClock()
    const { client, server } = await ready({}, { clock })
    const source = endless(LINES)
    server.socket.pause()
    if (send === 'data') client.startData()
    await settle()
    server.socket.resume()
    await settle()
    const message = (send === 'data' ? client.sendData(source) : client.bdat(source)).catch((error: unknown) => error)
    server.socket.pause()
    await settle(50)
    const read = source.octets
    t.ok(read > 0 && read < 1_000_000, `${send}: ${read} octets`)
    await settle(50)
    t.equal(source.octets, read, 'not an octet more')
    t.equal(client.readableLength < 700_000, true, `${client.readableLength} octets are held`)
    server.socket.resume()
    await settle(20)
    t.ok(source.octets > read, 'it goes on')
    server.socket.pause()
    await settle(50)
    await clock.tick(179_999)
    t.equal(client.failure, null)
    await clock.tick(1)
    t.match(await message, { code: 'ERR_TIMEOUT', message: /read nothing within 180000 ms/ })
    t.equal(source.destroyed, true)
  }
})

t.test('backpressure: through handlers at both ends, whoever is slow', async t => {
  let slow: Readable | null = null
  const handler = new SmtpHandler({
    async onMessage(message) {
      slow = message
      await new Promise(resolve => message.once('end', resolve))
    },
  })
  const client = new SmtpClient(CLEAR)
  handler.pipe(client).pipe(handler)
  client.mail('a@b')
  client.rcpt('c@d')
  const source = endless(LINES)
  const message = client.data(source).catch((error: unknown) => error)
  await settle(50)
  const read = source.octets
  await settle(50)
  t.ok(read > 0 && read < 1_000_000, `${read} octets`)
  t.equal(source.octets, read)
  slow!.resume()
  await settle(20)
  t.ok(source.octets > 2 * read)
  client.destroy()
  t.match(await message, { code: 'ERR_CONNECTION_LOST' })
})

t.test('the client never holds more than it must of a slow source', async t => {
  const { client, server } = await ready()
  const source = new Readable({ read() {} })
  const message = client.data(source)
  await settle()
  for (let i = 0; i < 40; i++) {
    source.push(`${'x'.repeat(998)}\r\n`)
    await settle(1)
  }
  t.ok(server.received.length > 20_000, 'small pieces leave before the end')
  source.push(null)
  t.match(await message, [{ code: 250 }])
  t.equal(server.messages[0]?.length, 40_000)
})

t.test('a small message leaves in one write with its end', async t => {
  const [socket, other] = duplexPair()
  const client = new SmtpClient(CLEAR)
  socket.pipe(client).pipe(socket)
  const writes: string[] = []
  const say = (...texts: string[]): void => texts.forEach(text => other.write(text))
  other.on('data', (chunk: Buffer) => {
    const text = chunk.toString()
    writes.push(text)
    if (text.startsWith('EHLO')) say('250-mx\r\n250 PIPELINING\r\n')
    else if (text.startsWith('MAIL')) say('250 OK\r\n250 OK\r\n354 Go\r\n')
    else say('250 OK\r\n')
  })
  say('220 mx\r\n')
  await client.ready()
  client.mail('a@b')
  client.rcpt('c@d')
  await client.data(Readable.from([Buffer.from('Subject: x\r\n\r\n'), Buffer.from('.body')]))
  t.strictSame(writes.slice(1), ['MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n', 'Subject: x\r\n\r\n..body\r\n.\r\n'])
})
