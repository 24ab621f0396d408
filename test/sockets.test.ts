import t, { type Test } from 'tap'
import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { TakingHandler, type TakingOptions } from './fixtures/taking-handler.ts'
import type { Answer } from '../lib/stream/handlers.ts'
import { controls } from '../lib/stream/mail-handler.ts'
import type { Body } from '../lib/stream/body.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { until } from './fixtures/until.ts'

// `socket.pipe(handler).pipe(socket)` and nothing else: no listener for errors anywhere on the server's side.

interface Rig {
  readonly client: Socket
  readonly socket: Socket
  readonly handler: TakingHandler
  said: string
  /** Resolves when both sockets and the handler are closed. */
  readonly allClosed: Promise<unknown>
}

class Slow extends TakingHandler {
  /** Lets what is pending go on. */
  answer: () => void = () => {}

  override handleHelp(): Answer {
    return this.#pending(reply(214, 'help'))
  }

  override async handleBody(body: Body): Promise<Reply> {
    const verdict = await super.handleBody(body)
    return this.messages.at(-1)?.startsWith('slow') ? this.#pending(verdict) : verdict
  }

  #pending(reply: Reply): Promise<Reply> {
    return new Promise(resolve => (this.answer = () => resolve(reply)))
  }
}

let server: Server
const made: { socket: Socket; handler: Slow }[] = []
let options: TakingOptions = {}

t.before(async () => {
  server = net.createServer(socket => {
    const handler = new Slow(options)
    made.push({ socket, handler })
    socket.pipe(handler).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
t.teardown(() => server.close())

const closed = (stream: { readonly closed: boolean; once(event: 'close', done: () => void): unknown }) =>
  new Promise<void>(resolve => (stream.closed ? resolve() : stream.once('close', resolve)))

async function connect(more: net.NetConnectOpts | object = {}): Promise<Rig> {
  const accepted = once(server, 'connection')
  const client = net.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...more })
  client.on('error', () => {})
  await Promise.all([once(client, 'connect'), accepted])
  const { socket, handler } = made.pop()!
  const rig: Rig = {
    client,
    socket,
    handler,
    said: '',
    allClosed: Promise.all([closed(client), closed(socket), closed(handler)]),
  }
  client.on('data', octets => (rig.said += String(octets)))
  return rig
}

const codes = (said: string) => said.replace(/(?<=^\d{3}).*\r\n/gm, ' ').trim()

/** What is sent after the greeting, the codes that come then, and whether a message is under way. */
const STATES: readonly [name: string, wire: string, replies: string, truncated: boolean][] = [
  ['greeting', '', '220', false],
  ['a line begun', 'NOO', '220', false],
  ['a command', 'NOOP\r\n', '220 250', false],
  ['an answer pending', 'NOOP\r\nHELP\r\n', '220 250', false],
  ['an answer pending, more behind it', 'NOOP\r\nHELP\r\nNOOP\r\n', '220 250', false],
  ['a prompt', 'AUTH\r\n', '220 334', false],
  ['mail data asked for', 'DATA\r\n', '220 354', true],
  ['within mail data', 'DATA\r\nx\r\n', '220 354', true],
  ['within the end of data', 'DATA\r\nx\r\n.\r', '220 354', true],
  ['a verdict pending', 'DATA\r\nslow\r\n.\r\n', '220 354', false],
  // With more behind it the server waits for the client's end; by itself it may be gone already.
  ['after QUIT', 'QUIT\r\nNOOP\r\n', '220 221', false],
]

async function reach(wire: string, replies: string): Promise<Rig> {
  const rig = await connect({ allowHalfOpen: true })
  if (wire !== '') rig.client.write(wire)
  await until(() => codes(rig.said) === replies)
  if (/slow/.test(wire)) await until(() => rig.handler.messages.length === 1)
  return rig
}

function ended(t: Test, { handler, socket, client }: Rig, truncated: boolean, name: string): void {
  t.strictSame(handler.ends, ['disconnect', 'result'], name)
  t.strictSame(handler.failures, truncated ? ['ERR_TRUNCATED'] : [])
  t.strictSame(handler.errors, [])
  t.ok(socket.destroyed && client.destroyed && handler.destroyed)
}

t.test('a reset in each state', async t => {
  for (const [name, wire, replies, truncated] of STATES) {
    const rig = await reach(wire, replies)
    rig.client.resetAndDestroy()
    await rig.allClosed
    const before = rig.handler.errors.length
    ;(rig.handler as Slow).answer()
    await pause(1)
    t.equal(rig.handler.errors.length, before)
    ended(t, rig, truncated, name)
  }
})

t.test('a half-close in each state: every command before it is answered', async t => {
  const after: Record<string, string> = {
    'an answer pending': '220 250 214',
    'an answer pending, more behind it': '220 250 214 250',
    'a verdict pending': '220 354 250',
  }
  for (const [name, wire, replies, truncated] of STATES) {
    const rig = await reach(wire, replies)
    rig.client.end()
    await pause(3)
    ;(rig.handler as Slow).answer()
    await rig.allClosed
    t.equal(codes(rig.said), after[name] ?? replies)
    ended(t, rig, truncated, name)
  }
})

t.test('destroy() of the handler, of the socket, in each state', async t => {
  for (const [name, wire, replies, truncated] of STATES) {
    const destroyers: ((rig: Rig) => void)[] = [
      ({ handler }) => void handler.destroy(),
      ({ handler }) => void handler.destroy(new Error('x')),
      ({ socket }) => void socket.destroy(),
      ({ socket }) => void socket.destroy(new Error('y')),
    ]
    for (const [i, destroy] of destroyers.entries()) {
      const rig = await reach(wire, replies)
      destroy(rig)
      rig.client.end()
      await rig.allClosed
      const { errors } = rig.handler
      if (i === 1) t.equal(errors.splice(0)[0]?.message, 'x', 'nobody listens: it is reported')
      ended(t, rig, truncated, `${name}, ${String(destroy)}`)
    }
  }
})

t.test('destroy(error) reaches a listener where there is one', async t => {
  const rig = await reach('', '220')
  const errors: Error[] = []
  rig.handler.on('error', error => errors.push(error))
  rig.handler.destroy(new Error('x'))
  rig.client.end()
  await rig.allClosed
  t.equal(errors[0]?.message, 'x')
  ended(t, rig, false, 'told')
})

t.test('hangUp in each state: the client gets the last reply, then the end', async t => {
  for (const [name, wire, replies, truncated] of STATES) {
    const rig = await reach(wire, replies)
    rig.client.once('end', () => rig.client.end())
    rig.handler.hangUp(reply(421, '4.3.2', 'bye'))
    if (rig.client.readableEnded) rig.client.end()
    await rig.allClosed
    t.equal(codes(rig.said), name === 'after QUIT' ? replies : `${replies} 421`)
    ended(t, rig, truncated, name)
  }
})

t.test('after QUIT the connection ends behind the reply, without the client', async t => {
  const rig = await connect({ allowHalfOpen: true })
  rig.client.write('QUIT\r\n')
  await Promise.all([finished(rig.handler), once(rig.handler, 'close'), once(rig.socket, 'close')])
  await until(() => rig.client.readableEnded)
  t.equal(codes(rig.said), '220 221')
  rig.client.destroy()
  await rig.allClosed
  ended(t, rig, false, 'after QUIT')
})

t.test('after QUIT with more behind it the client has time to read its reply', async t => {
  const rig = await reach('QUIT\r\nNOOP\r\n', '220 221')
  await until(() => rig.client.readableEnded)
  rig.client.write('NOOP\r\n')
  await pause(5)
  t.notOk(rig.socket.destroyed)
  rig.client.end()
  await rig.allClosed
  ended(t, rig, false, 'more behind QUIT')
})

t.test('a socket that is gone before the reply to QUIT has left', async t => {
  const rig = await reach('', '220')
  rig.handler.handleQuit = () => {
    rig.socket.destroy()
    return reply(221, 'Bye')
  }
  rig.client.write('QUIT\r\n')
  rig.client.end()
  await until(() => rig.handler.closed)
  await rig.allClosed
  ended(t, rig, false, 'gone at QUIT')
})

t.test('a socket that the handler is not to end is left alone', async t => {
  const sockets: Socket[] = []
  const other = net.createServer(socket => {
    sockets.push(socket)
    socket.pipe(new TakingHandler()).pipe(socket, { end: false })
  })
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  const client = net.connect((other.address() as AddressInfo).port, '127.0.0.1')
  let said = ''
  client.on('data', octets => (said += String(octets)))
  client.write('QUIT\r\n')
  await until(() => said.includes('221'))
  await pause(5)
  t.ok(sockets[0]?.writable)
  sockets[0]?.end('more\r\n')
  await until(() => said.endsWith('more\r\n'))
  client.end()
  other.close()
})

t.test('all at once and half-closed, with answers that take their time', async t => {
  options = { delay: 1 }
  const rig = await connect()
  options = {}
  rig.client.end(
    'EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\nx\r\n.\r\nNOOP 1\r\nNOOP 2\r\nAUTH\r\na\r\nb\r\nQUIT\r\n',
  )
  await rig.allClosed
  t.equal(codes(rig.said.replace(/^250-.*\r\n/gm, '')), '220 250 250 250 354 250 250 250 334 334 235 221')
  ended(t, rig, false, 'all')
})

t.test('a client that half-closes before the greeting, or says nothing', async t => {
  options = { delay: 3 }
  const rig = await connect()
  options = {}
  rig.client.end()
  await rig.allClosed
  ended(t, rig, false, 'nothing said')
})

t.test('a client that is gone before the handler comes', async t => {
  for (const gone of ['resetAndDestroy', 'end'] as const) {
    let accept: (socket: Socket) => void = () => {}
    const late = net.createServer({ pauseOnConnect: gone === 'end' }, socket => accept(socket))
    late.listen(0, '127.0.0.1')
    await once(late, 'listening')
    const accepted = new Promise<Socket>(resolve => (accept = resolve))
    const client = net.connect((late.address() as AddressInfo).port, '127.0.0.1')
    client.on('error', () => {}).resume()
    const socket = await accepted
    socket.on('error', () => {})
    client[gone]()
    if (gone === 'end') await pause(5)
    else await closed(socket.resume())
    const handler = new TakingHandler()
    socket.pipe(handler).pipe(socket)
    await closed(handler)
    t.strictSame(handler.ends, ['disconnect', 'result'], gone)
    late.close()
  }
})

t.test('a client that never reads is not served on, and nothing grows', async t => {
  const rig = await connect()
  rig.client.pause()
  const line = Buffer.from(`NOOP ${'x'.repeat(400)}\r\n`.repeat(150))
  let sent = 0
  const pump = () => {
    while (sent < 32 * 2 ** 20 && rig.client.write(line)) sent += line.length
  }
  rig.client.on('drain', pump)
  pump()
  let before = -1
  while (before !== rig.handler.commands.length) {
    before = rig.handler.commands.length
    await pause(50)
  }
  t.ok(sent < 32 * 2 ** 20, 'the client has to wait')
  t.ok(rig.handler.readableLength < 64 * 1024, `${rig.handler.readableLength} octets of replies`)
  t.ok(rig.handler.writableLength < 256 * 1024, `${rig.handler.writableLength} octets of commands`)
  rig.client.resetAndDestroy()
  await rig.allClosed
  ended(t, rig, false, 'reset')
})

t.test('a client that reads late gets all replies, in order', async t => {
  const rig = await connect()
  rig.client.pause()
  const count = 20_000
  rig.client.end(Array.from({ length: count }, (_, i) => `NOOP ${i}\r\n`).join(''))
  await pause(20)
  rig.client.resume()
  await rig.allClosed
  const numbers = [...rig.said.matchAll(/^250 2\.0\.0 OK (\d+)\r$/gm)].map(match => Number(match[1]))
  t.strictSame(
    numbers,
    Array.from({ length: count }, (_, i) => i),
  )
})

t.test('addresses, TCP_NODELAY, and a socket that may be half open', async t => {
  const rig = await reach('', '220')
  const { client, local } = rig.handler
  t.strictSame(client, { address: '127.0.0.1', port: rig.client.localPort })
  t.strictSame(local, { address: '127.0.0.1', port: (server.address() as AddressInfo).port })
  t.ok(controls.isUpgradable(rig.handler))
  t.ok(rig.socket.allowHalfOpen)
  rig.client.destroy()
  await rig.allClosed
  t.strictSame(rig.handler.local, local, 'what was asked for once stays known')
  t.strictSame(rig.handler.client, client)

  const calls: unknown[] = []
  const recording = net.createServer(socket => {
    const original = socket.setNoDelay.bind(socket)
    socket.setNoDelay = value => (calls.push(value), original(value))
    socket.pipe(new TakingHandler()).pipe(socket)
  })
  recording.listen(0, '127.0.0.1')
  await once(recording, 'listening')
  const other = net.connect((recording.address() as AddressInfo).port, '127.0.0.1')
  await once(other, 'data')
  t.strictSame(calls, [true])
  other.destroy()
  recording.close()

  const alone = new TakingHandler({ client: { address: '192.0.2.1' } })
  t.strictSame(alone.client, { address: '192.0.2.1', port: null })
  t.strictSame(alone.local, { address: null, port: null })
  t.notOk(controls.isUpgradable(alone))
  alone.destroy()
})

t.test('an IPv4 client of a server for IPv4 and IPv6 has its own address', async t => {
  const handlers: TakingHandler[] = []
  const both = net.createServer(socket => {
    const handler = new TakingHandler()
    handlers.push(handler)
    socket.pipe(handler).pipe(socket)
  })
  both.listen(0)
  await once(both, 'listening')
  const { port, family } = both.address() as AddressInfo
  const client = net.connect(port, '127.0.0.1')
  await once(client, 'data')
  const [{ client: remote, local }] = handlers as [TakingHandler]
  t.strictSame(
    [remote, local],
    [
      { address: '127.0.0.1', port: client.localPort },
      { address: '127.0.0.1', port },
    ],
    family,
  )
  client.destroy()
  both.close()
  await once(both, 'close')
})

t.test('no connection is left', async t => {
  t.equal(await new Promise(resolve => server.getConnections((_, count) => resolve(count))), 0)
})
