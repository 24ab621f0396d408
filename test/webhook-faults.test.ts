// The table of faults: what a service can do wrong at each step, what the sender is told then, and how many complete
// requests the service got. No row accepts mail that did not arrive. docs/deliveries.md shows it.

import { once } from 'node:events'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { WebhookOptions } from '../lib/webhook.ts'
import { through } from '../lib/transforms/through.ts'
import { checkTable } from './fixtures/doc-table.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { freePort } from './fixtures/free-port.ts'
import { until } from './fixtures/until.ts'
import { answer, begin, front, startService, type Act, type Front, type Service } from './fixtures/webhook-service.ts'

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n'
const LARGE = `${MAIL}${`${'x'.repeat(76)}\r\n`.repeat(200_000)}`

/** One fault. */
interface Row {
  readonly act?: Act
  /** What the sender does once it may send mail data; default: a small message with its end. */
  readonly send?: (front: Front, service: Service) => Promise<void>
  /** Milliseconds that pass, again and again, once the service has this many requests or complete requests. */
  readonly passes?: { readonly milliseconds: number; readonly when: 'begun' | 'complete' }
  readonly options?: Partial<WebhookOptions>
  readonly told: string
  /** Complete requests. */
  readonly complete: number
  /** What is reported; nothing if the answer is for the sender. */
  readonly cause?: { readonly code: string; readonly message?: RegExp }
}

const whole = async ({ c }: Front): Promise<void> => void c.write(`${MAIL}.\r\n`)
/** Sends half of a message, the rest once the service has answered. */
const halfThenRest = async ({ c }: Front, service: Service): Promise<void> => {
  c.write(MAIL)
  await until(() => service.begun.length > 0)
  await until(() => service.begun[0]!.socket.destroyed)
  c.write('.\r\n')
}
const silent: Act = () => {}
const T = '451 4.3.0'

const ROWS: Readonly<Record<string, Row>> = {
  'answers 200': { told: '250 2.0.0', complete: 1 },
  'answers 204': { act: answer(204), told: '250 2.0.0', complete: 1 },
  'answers 413': { act: answer(413), told: '552 5.3.4', complete: 1 },
  'answers 422': { act: answer(422), told: '554 5.6.0', complete: 1 },
  'answers 401: a wrong secret': {
    act: answer(401),
    told: T,
    complete: 1,
    cause: { code: 'ERR_REFUSED', message: /401/ },
  },
  'answers 404': { act: answer(404), told: T, complete: 1, cause: { code: 'ERR_REFUSED' } },
  'answers 429': { act: answer(429), told: T, complete: 1, cause: { code: 'ERR_REFUSED' } },
  'answers 500': { act: answer(500), told: T, complete: 1, cause: { code: 'ERR_REFUSED' } },
  'answers 307: a redirect': {
    act: answer(307, { location: '/elsewhere' }),
    told: T,
    complete: 1,
    cause: { code: 'ERR_REFUSED', message: /307: redirects are not followed/ },
  },
  'says 100, 102 and 103 before 200': {
    async act(_request, response, whole) {
      response.writeContinue()
      response.writeProcessing()
      response.writeEarlyHints({ link: '</a>' })
      await whole
      response.end()
    },
    told: '250 2.0.0',
    complete: 1,
  },
  'answers 200 before the message is whole': {
    act: (_request, response) => void response.end(),
    send: halfThenRest,
    told: T,
    complete: 0,
    cause: { code: 'ERR_REPLY_UNEXPECTED', message: /200 before it had the whole/ },
  },
  'answers 413 before the message is whole': {
    act: (_request, response) => void response.writeHead(413).end(),
    send: halfThenRest,
    told: '552 5.3.4',
    complete: 0,
  },
  'answers 422 before the message is whole': {
    act: (_request, response) => void response.writeHead(422).end(),
    send: halfThenRest,
    told: '554 5.6.0',
    complete: 0,
  },
  'answers 500 before the message is whole': {
    act: (_request, response) => void response.writeHead(500).end(),
    send: halfThenRest,
    told: T,
    complete: 0,
    cause: { code: 'ERR_REFUSED' },
  },
  'ends the connection after the headers': {
    act: request => void request.socket.destroy(),
    send: halfThenRest,
    told: '451 4.4.2',
    complete: 0,
    cause: { code: 'ERR_CONNECTION_LOST' },
  },
  'ends the connection in the message': {
    act: request => void request.once('data', () => void request.socket.destroy()),
    send: halfThenRest,
    told: '451 4.4.2',
    complete: 0,
    cause: { code: 'ERR_CONNECTION_LOST' },
  },
  'resets the connection in the message': {
    act: request => void request.once('data', () => void request.socket.resetAndDestroy()),
    send: async ({ c }) => void c.write(`${LARGE}.\r\n`),
    told: '451 4.4.2',
    complete: 0,
    cause: { code: 'ERR_CONNECTION_LOST' },
  },
  'ends the connection after the message, without an answer': {
    act: async (request, _response, whole) => {
      await whole
      request.socket.destroy()
    },
    told: '451 4.4.2',
    complete: 1,
    cause: { code: 'ERR_CONNECTION_LOST' },
  },
  'ends the connection in the status line': {
    act: async (request, _response, whole) => {
      await whole
      request.socket.end('HTTP/1.1 200')
    },
    told: '451 4.4.2',
    complete: 1,
    cause: { code: 'ERR_CONNECTION_LOST' },
  },
  'ends the connection in the body of its 200': {
    act: async (request, _response, whole) => {
      await whole
      request.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc')
    },
    told: '250 2.0.0',
    complete: 1,
  },
  'answers what is no HTTP': {
    act: async (request, _response, whole) => {
      await whole
      request.socket.end('220 mx.example ESMTP\r\n')
    },
    told: '451 4.4.2',
    complete: 1,
    cause: { code: 'ERR_CONNECTION_LOST' },
  },
  'takes the message and never answers': {
    act: silent,
    passes: { milliseconds: 120_000, when: 'complete' },
    told: '451 4.4.1',
    complete: 1,
    cause: { code: 'ERR_TIMEOUT', message: /did not answer within 120000 ms/ },
  },
  'takes no more of the message': {
    act: request => void request.pause().socket.pause(),
    send: async ({ c }) => void c.write(`${LARGE}.\r\n`),
    passes: { milliseconds: 60_000, when: 'begun' },
    told: '451 4.4.1',
    complete: 0,
    cause: { code: 'ERR_TIMEOUT', message: /takes no more of the message within 60000 ms/ },
  },
  'takes the message slowly, and answers 200': {
    async act(request, response, whole) {
      request.on('data', () => {
        request.pause()
        setImmediate(() => request.resume())
      })
      await whole
      response.end()
    },
    send: async ({ c }) => void c.write(`${LARGE}.\r\n`),
    told: '250 2.0.0',
    complete: 1,
  },
}

for (const form of ['multipart', 'raw'] as const) {
  t.test(`${form}: what the service does`, async t => {
    const seen: string[][] = []
    for (const [name, row] of Object.entries(ROWS)) {
      const { told, complete } = row
      const service = await startService(t, row.act)
      const clock = new FakeClock()
      const made = await front(t, { url: service.url, secret: 'x', form, clock, ...row.options })
      await begin(made.c)
      await (row.send ?? whole)(made, service)
      const reply = await verdict(made, service, clock, row)
      t.match(reply, new RegExp(`^${told} `), name)
      await settle()
      t.equal(service.complete.length, complete, `${name}: complete requests`)
      t.equal(service.begun.length, 1, `${name}: sent once`)
      if (row.cause === undefined) t.strictSame(made.errors, [], name)
      else t.match(made.errors, [{ cause: row.cause }], name)
      await t.resolves(made.c.command('NOOP', 250), `${name}: the session goes on`)
      seen.push([name, `\`${told}\``, String(complete)])
    }
    checkTable(t, 'docs/deliveries.md', 'faults', ['the service', 'the sender is told', 'complete requests'], seen)
  })
}

/** The verdict; meanwhile the time passes that the row wants. */
async function verdict({ c }: Front, service: Service, clock: FakeClock, { passes }: Row): Promise<string> {
  if (passes !== undefined) {
    await until(() => service[passes.when].length > 0)
    while (c.unread === 0) await clock.tick(passes.milliseconds)
  }
  return (await c.expect()).text
}

async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('a service that cannot be connected to', async t => {
  const { c, errors } = await front(t, { url: `http://127.0.0.1:${await freePort()}/` })
  await begin(c)
  c.write(`${MAIL}.\r\n`)
  await c.expect({ code: 451, status: '4.4.1' } as never)
  t.match(errors, [{ cause: { code: 'ERR_CONNECTION_LOST', message: /cannot be reached: .*ECONNREFUSED/ } }])

  const sockets: Socket[] = []
  const mute = createTcpServer(socket => void sockets.push(socket))
  const clock = new FakeClock()
  const url = `https://127.0.0.1:${await listen(t, mute)}/`
  const slow = await front(t, { url, clock })
  await begin(slow.c)
  slow.c.write(`${LARGE}.\r\n`)
  await until(() => sockets.length > 0)
  await clock.tick(10_000)
  await slow.c.expect({ code: 451, status: '4.4.1' } as never)
  t.match(slow.errors, [{ cause: { code: 'ERR_TIMEOUT', message: /connected to within 10000 ms/ } }])
  for (const socket of sockets) socket.destroy()
})

t.test('a client that is cut never completes a request', async t => {
  const cuts: Record<string, string> = {
    'at once': '',
    'in the header': 'Subject: x\r\nTo:',
    'in the message': LARGE,
    'before the dot': MAIL,
    'after the dot': `${MAIL}.`,
    'in the line end': `${MAIL}.\r`,
  }
  for (const form of ['multipart', 'raw'] as const) {
    for (const [name, text] of Object.entries(cuts)) {
      const service = await startService(t)
      const { c, handler, errors } = await front(t, { url: service.url, form })
      await begin(c)
      c.write(text)
      // With `raw` the head of the request leaves with the first octets of the message.
      const isBegun = form === 'multipart' || text !== ''
      await until(() => service.begun.length > 0 || (!isBegun && service.connections > 0))
      if (form === 'raw') handler.destroy()
      else handler.end()
      await until(() => handler.closed && (!isBegun || service.begun[0]!.socket.destroyed))
      t.strictSame(service.complete, [], `${form}: ${name}`)
      t.equal(service.begun.length, isBegun ? 1 : 0)
      t.strictSame(errors, [], name)
    }
  }
})

t.test('a message that fails in a filter is a request without an end', async t => {
  const service = await startService(t)
  const gate = () =>
    through(
      (chunk, _encoding, done) => done(null, chunk),
      done => done(new Error('a virus')),
    )
  const { c } = await front(t, { url: service.url }, { filters: [gate] })
  await begin(c)
  c.write(`${MAIL}.\r\n`)
  await c.expect(451)
  await until(() => service.begun[0]?.socket.destroyed === true)
  t.strictSame(service.complete, [])
})

t.test('a verdict that takes too long: what has no end is ended, what has one is awaited', async t => {
  const service = await startService(t, silent)
  const clock = new FakeClock()
  const session = { clock, timeouts: { verdict: 30_000 } }
  const { c } = await front(t, { url: service.url, timeouts: { answer: 60_000 }, clock }, session)
  await begin(c)
  c.write(`${MAIL}.\r\n`)
  await until(() => service.complete.length > 0)
  await clock.tick(30_000)
  await c.expect(451)
  await settle()
  t.notOk(service.begun[0]!.socket.destroyed, 'the service may have taken it')
  await clock.tick(30_000)
  await until(() => service.begun[0]!.socket.destroyed)
  t.equal(service.begun.length, 1)

  const stuck = await startService(t, request => void request.pause().socket.pause())
  const large = await front(t, { url: stuck.url, clock }, session)
  await begin(large.c)
  large.c.write(`${LARGE}.\r\n`)
  await until(() => stuck.begun.length > 0)
  await clock.tick(30_000)
  await until(() => stuck.begun[0]!.socket.resume().destroyed)
  t.strictSame(stuck.complete, [])
})

t.test('a sender that is slow and steady: only a service that takes nothing is silent', async t => {
  for (const form of ['multipart', 'raw'] as const) {
    const service = await startService(t)
    const clock = new FakeClock()
    const { c } = await front(t, { url: service.url, form, timeouts: { silence: 1000 }, clock })
    await begin(c)
    c.write('Subject: slow\r\n\r\n')
    await until(() => service.begun.length > 0)
    for (let line = 0; line < 5; line += 1) {
      await clock.tick(900)
      c.write(`line ${line}\r\n`)
      await settle()
    }
    c.write('.\r\n')
    await c.expect(250)
    t.equal(service.complete.length, 1, form)
  }
})
