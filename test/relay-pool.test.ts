// The connections of a relay: kept, limited, given back, opened elsewhere.

import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { SmtpHandler } from '../lib/index.ts'
import { addressesOf } from '../lib/deliveries/relay/look-up.ts'
import { WaitingRoom } from '../lib/deliveries/relay/waiting-room.ts'
import { relay, type Relay } from '../lib/relay.ts'
import { converse } from '../lib/testing/index.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { freePort } from './fixtures/free-port.ts'
import { frontOf } from './fixtures/front.ts'
import { until } from './fixtures/until.ts'
import { BY_DATA, front, MAIL, offers, sendMail, startUpstream } from './fixtures/upstream.ts'
import type { Script } from './fixtures/scripted-server.ts'

const TO = { host: '127.0.0.1', name: 'relay.example', tls: { mode: 'never' }, probes: false } as const

const verdict = (replies: readonly string[]): string => replies.at(-1)!

/** No name server is asked for a label that long. */
const NOWHERE = `${'x'.repeat(64)}.invalid`

/** Resolves once the relay has so many connections, and so many clients that wait for one. */
const counts = (delivery: Relay, wanted: { readonly connections?: number; readonly waiting?: number }): Promise<void> =>
  until(() => {
    const { connections, waiting } = delivery.stats()[0]!
    return connections === (wanted.connections ?? connections) && waiting === (wanted.waiting ?? waiting)
  })

/** Resolves once each connection is kept or has ended: none waits for the reply to its RSET or QUIT. */
const atRest = (delivery: Relay): Promise<void> =>
  until(() => {
    const { connections, kept } = delivery.stats()[0]!
    return connections === kept
  })

t.test('a connection is used again after RSET, by another client too', async t => {
  const upstream = await startUpstream(t)
  const one = await front(t, { ...TO, port: upstream.port })
  t.match(verdict(await sendMail(one.c)), /^250 /)
  t.match(verdict(await sendMail(one.c)), /^250 /)
  await atRest(one.delivery)
  const two = await frontOf(t, one.delivery)
  t.match(verdict(await sendMail(two.c, ['c@example.org'])), /^250 /)
  await atRest(one.delivery)
  t.equal(upstream.verbs.join(' '), `EHLO${' MAIL RCPT DATA RSET'.repeat(3)}`)
  t.strictSame(upstream.messages, [MAIL, MAIL, MAIL])
  t.match(one.delivery.stats(), [{ connections: 1, kept: 1, waiting: 0 }])
  one.delivery.close()
  await counts(one.delivery, { connections: 0 })
  t.equal(upstream.verbs.at(-1), 'QUIT')
  t.match(one.delivery.stats(), [{ connections: 0, kept: 0 }])
})

t.test('not if RSET is refused, not answered, or answered wrongly', async t => {
  for (const RSET of ['500 What?\r\n', '252 Perhaps\r\n', '421 Bye\r\n', '', '250 OK\r\n250 OK\r\n']) {
    const clock = new FakeClock()
    const upstream = await startUpstream(t, { ...BY_DATA, RSET })
    const one = await front(t, { ...TO, port: upstream.port, clock })
    t.match(verdict(await sendMail(one.c)), /^250 /)
    await until(() => upstream.verbs.includes('RSET'))
    if (RSET === '') await clock.tick(5000)
    await counts(one.delivery, { connections: 0 })
    t.match(one.delivery.stats(), [{ kept: 0 }], RSET)
    t.match(verdict(await sendMail(one.c)), /^250 /, RSET)
    t.equal(upstream.connections.length, 2, RSET)
  }
})

t.test('a client that goes away before DATA leaves nothing behind', async t => {
  const upstream = await startUpstream(t)
  const one = await front(t, { ...TO, port: upstream.port })
  await one.c.command('MAIL FROM:<secret@client.example>', 250)
  await one.c.command('RCPT TO:<first@example.org>', 250)
  one.c.reset()
  await atRest(one.delivery)
  const two = await frontOf(t, one.delivery)
  t.match(verdict(await sendMail(two.c)), /^250 /)
  await atRest(one.delivery)
  t.strictSame(upstream.verbs, ['EHLO', 'MAIL', 'RCPT', 'RSET', 'MAIL', 'RCPT', 'DATA', 'RSET'])
})

t.test('between 354 and the end of the mail data a connection is cut, never used again', async t => {
  const upstream = await startUpstream(t)
  const one = await front(t, { ...TO, port: upstream.port })
  await one.c.command('MAIL FROM:<a@client.example>', 250)
  await one.c.command('RCPT TO:<b@example.org>', 250)
  await one.c.command('DATA', 354)
  one.c.reset()
  await until(() => upstream.connections[0]!.gone)
  await atRest(one.delivery)
  t.match(one.delivery.stats(), [{ connections: 0 }])
})

t.test('a kept connection ends after its idle time, its age, its uses', async t => {
  const clock = new FakeClock()
  const upstream = await startUpstream(t)
  const one = await front(t, { ...TO, port: upstream.port, clock, pool: { idle: 1000, age: 10_000, uses: 3 } })
  const send = async (): Promise<void> => {
    t.match(verdict(await sendMail(one.c)), /^250 /)
    await atRest(one.delivery)
  }
  await send()
  await clock.tick(999)
  t.match(one.delivery.stats(), [{ kept: 1 }])
  await clock.tick(1)
  await counts(one.delivery, { connections: 0 })
  t.equal(upstream.verbs.at(-1), 'QUIT', 'idle')
  for (let i = 0; i < 3; i++) await send()
  t.equal(upstream.connections.length, 2)
  t.equal(upstream.verbs.at(-1), 'QUIT', 'uses')
  await send()
  await clock.tick(500)
  t.equal(upstream.connections.length, 3)
})

t.test('a kept connection that was closed meanwhile costs the client nothing', async t => {
  const upstream = await startUpstream(t, n => ({
    ...BY_DATA,
    // The second MAIL of the first connection is answered by its end.
    MAIL: (_line, server) =>
      n === 0 && server.messages.length > 0 ? void server.socket.destroy() : '250 2.1.0 OK\r\n',
  }))
  const one = await front(t, { ...TO, port: upstream.port })
  t.match(verdict(await sendMail(one.c)), /^250 /)
  await atRest(one.delivery)
  t.match(verdict(await sendMail(one.c)), /^250 /)
  t.equal(upstream.connections.length, 2)
  t.equal(upstream.messages.length, 2)
})

t.test('a connection that is lost between two RCPTs: the envelope is said again', async t => {
  const upstream = await startUpstream(t, n => ({
    ...BY_DATA,
    RCPT: (line, server) => (n === 0 && line.includes('<c@') ? void server.socket.destroy() : '250 2.1.5 OK\r\n'),
  }))
  const one = await front(t, { ...TO, port: upstream.port })
  t.match(verdict(await sendMail(one.c, ['b@example.org', 'c@example.org'])), /^250 /)
  t.strictSame(upstream.connections[1]!.lines.slice(1, 4), [
    'MAIL FROM:<a@client.example>',
    'RCPT TO:<b@example.org>',
    'RCPT TO:<c@example.org>',
  ])
  t.equal(upstream.messages.length, 1)
})

t.test('a silent client gives its connection back, and its envelope is said again at DATA', async t => {
  for (const changes of [false, true]) {
    const clock = new FakeClock()
    let asked = 0
    const upstream = await startUpstream(t, {
      ...BY_DATA,
      RCPT: () => (++asked > 2 && changes ? '550 5.1.1 Gone\r\n' : '250 2.1.5 OK\r\n'),
    })
    const one = await front(t, { ...TO, port: upstream.port, clock })
    await one.c.command('MAIL FROM:<a@client.example>', 250)
    await one.c.command('RCPT TO:<b@example.org>', 250)
    await one.c.command('RCPT TO:<c@example.org>', 250)
    await clock.tick(29_999)
    t.notOk(upstream.verbs.includes('RSET'))
    await clock.tick(1)
    await atRest(one.delivery)
    t.match(one.delivery.stats(), [{ kept: 1 }])
    await one.c.command('DATA', changes ? /^451 4\.4\.0 / : 354)
    if (!changes) {
      one.c.write(`${MAIL}.\r\n`)
      await one.c.expect(250)
    }
    t.strictSame(upstream.verbs.slice(0, 8), ['EHLO', 'MAIL', 'RCPT', 'RCPT', 'RSET', 'MAIL', 'RCPT', 'RCPT'])
    t.equal(upstream.messages.length, changes ? 0 : 1)
  }
})

t.test('more clients than connections: one waits, the next is told 451 in time', async t => {
  const clock = new FakeClock()
  const upstream = await startUpstream(t)
  const pool = { connections: 1, perNetwork: 1 }
  const one = await front(t, { ...TO, port: upstream.port, clock, pool })
  const two = await frontOf(t, one.delivery)
  const three = await frontOf(t, one.delivery)
  for (const { c } of [one, two, three]) await c.command('MAIL FROM:<a@client.example>', 250)
  await one.c.command('RCPT TO:<b@example.org>', 250)
  await two.c.send('RCPT TO:<b@example.org>')
  await counts(one.delivery, { waiting: 1 })
  t.match(one.delivery.stats(), [{ connections: 1, waiting: 1 }])
  await one.c.command('RSET', 250)
  await two.c.expect(250)
  await three.c.send('RCPT TO:<b@example.org>')
  await counts(one.delivery, { waiting: 1 })
  await clock.tick(5000)
  await three.c.expect(/^451 4\.3\.2 /)
  t.equal(upstream.connections.length, 1)
})

t.test('a client that has gone does not begin to wait', async t => {
  const clock = new FakeClock()
  const room = new WaitingRoom(clock, 5000)
  const refusal = await room.wait(null, null, AbortSignal.abort()).catch((error: unknown) => error)
  t.match(refusal, { reply: { code: 451, status: '4.3.2' } })
  t.strictSame([room.size, clock.timers], [0, 0])
})

t.test('a network holds a quarter at most', async t => {
  const clock = new FakeClock()
  const upstream = await startUpstream(t)
  const own = (address: string): object => ({ client: { address, port: 1 } })
  const one = await front(t, { ...TO, port: upstream.port, clock, pool: { connections: 8 } }, own('192.0.2.1'))
  const sessions = [one]
  for (const address of ['192.0.2.1', '192.0.2.1', '198.51.100.1']) {
    sessions.push(await frontOf(t, one.delivery, own(address)))
  }
  for (const { c } of sessions) await c.command('MAIL FROM:<a@client.example>', 250)
  await sessions[0]!.c.command('RCPT TO:<b@example.org>', 250)
  await sessions[1]!.c.command('RCPT TO:<b@example.org>', 250)
  await sessions[2]!.c.send('RCPT TO:<b@example.org>')
  await sessions[3]!.c.command('RCPT TO:<b@example.org>', 250)
  await counts(one.delivery, { waiting: 1 })
  t.match(one.delivery.stats(), [{ connections: 3, waiting: 1 }])
  await clock.tick(5000)
  await sessions[2]!.c.expect(/^451 4\.3\.2 /)
})

t.test('an upstream that allows few: the next client waits for one of them', async t => {
  const upstream = await startUpstream(t, n => ({ ...BY_DATA, ...(n > 0 && { greeting: '421 4.7.0 Too many\r\n' }) }))
  const one = await front(t, { ...TO, port: upstream.port })
  const two = await frontOf(t, one.delivery)
  for (const { c } of [one, two]) await c.command('MAIL FROM:<a@client.example>', 250)
  await one.c.command('RCPT TO:<b@example.org>', 250)
  await two.c.send('RCPT TO:<b@example.org>')
  await counts(one.delivery, { waiting: 1 })
  t.equal(two.c.unread, 0)
  await one.c.command('RSET', 250)
  await two.c.expect(250)
})

t.test('XCLIENT: every attribute for every client, and nothing of the one before', async t => {
  const upstream = await startUpstream(t, {
    EHLO: offers('PIPELINING', 'XCLIENT NAME ADDR PORT PROTO HELO LOGIN'),
    XCLIENT: '220 mx.example\r\n',
  })
  const one = await front(t, { ...TO, port: upstream.port })
  t.match(verdict(await sendMail(one.c)), /^250 /)
  await atRest(one.delivery)
  t.match(verdict(await sendMail(one.c)), /^250 /)
  await atRest(one.delivery)
  const two = await frontOf(t, one.delivery, { client: { address: '2001:db8::7', port: 99 } })
  t.match(verdict(await sendMail(two.c)), /^250 /)
  await atRest(one.delivery)
  const { lines } = upstream.connections[0]!
  t.strictSame(
    lines.filter(line => line.startsWith('XCLIENT')),
    [
      'XCLIENT HELO=client.example PROTO=ESMTP LOGIN=[UNAVAILABLE] PORT=4242 NAME=[UNAVAILABLE] ADDR=192.0.2.1',
      'XCLIENT HELO=client.example PROTO=ESMTP LOGIN=[UNAVAILABLE] PORT=99 NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7',
    ],
  )
  t.strictSame(
    lines.map(line => line.replace(/ .*/, '')).join(' '),
    'EHLO XCLIENT EHLO MAIL RCPT DATA RSET MAIL RCPT DATA RSET XCLIENT EHLO MAIL RCPT DATA RSET',
  )
})

t.test('after XCLIENT no XCLIENT is offered, as by Postfix: nobody else gets the connection', async t => {
  let hellos = 0
  const upstream = await startUpstream(t, () => {
    hellos = 0
    return {
      EHLO: () => offers('PIPELINING', ...(hellos++ === 0 ? ['XCLIENT ADDR'] : [])),
      XCLIENT: '220 mx.example\r\n',
    }
  })
  const one = await front(t, { ...TO, port: upstream.port })
  t.match(verdict(await sendMail(one.c)), /^250 /)
  await atRest(one.delivery)
  const two = await frontOf(t, one.delivery, { client: { address: '192.0.2.2', port: 99 } })
  t.match(verdict(await sendMail(two.c)), /^250 /)
  t.strictSame(
    upstream.connections.map(({ lines }) => lines.filter(line => line.startsWith('XCLIENT'))),
    [['XCLIENT ADDR=192.0.2.1'], ['XCLIENT ADDR=192.0.2.2']],
  )
})

t.test('XFORWARD goes with each MAIL', async t => {
  const upstream = await startUpstream(t, { EHLO: offers('PIPELINING', 'XFORWARD NAME ADDR HELO') })
  const one = await front(t, { ...TO, port: upstream.port })
  for (let i = 0; i < 2; i++) {
    t.match(verdict(await sendMail(one.c)), /^250 /)
    await atRest(one.delivery)
  }
  t.strictSame(
    upstream.connections[0]!.lines.filter(line => line.startsWith('XFORWARD')),
    Array.from({ length: 2 }, () => 'XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=client.example'),
  )
})

t.test('a PROXY header serves one client, and the connection is never kept', async t => {
  const upstream = await startUpstream(t, { ...BY_DATA, PROXY: '' })
  const delivery = relay({ ...TO, port: upstream.port, clientInfo: 'proxy-v1' })
  const server = createServer(socket => {
    socket.pipe(new SmtpHandler({ delivery })).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const c = converse(connect({ port, host: '127.0.0.1', allowHalfOpen: true }))
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  for (let i = 0; i < 2; i++) {
    t.match(verdict(await sendMail(c)), /^250 /)
    await atRest(delivery)
    t.match(delivery.stats(), [{ kept: 0 }])
  }
  await c.command('QUIT', 221)
  await c.closed()
  t.equal(upstream.connections.length, 2)
  for (const { lines } of upstream.connections)
    t.match(lines[0], new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${port}$`))
})

t.test('a PROXY header for no client: LOCAL, or in version 1 the own address, also in front of TLS', async t => {
  const upstream = await startUpstream(t, (_, socket) => {
    const { remotePort } = socket
    return { ...BY_DATA, PROXY: line => void t.equal(line, `PROXY TCP4 127.0.0.1 127.0.0.1 ${remotePort} ${upstream.port}`) } // prettier-ignore
  })
  t.match(await relay({ ...TO, port: upstream.port, clientInfo: 'proxy-v1' }).probe(), [{ error: null }])
  t.equal(upstream.connections[0]!.lines[0]!.slice(0, 6), 'PROXY ')

  const folder = mkdtempSync(join(tmpdir(), 'relay-')) // a socket's path is short
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 's')
  const local = await startUpstream(t, { ...BY_DATA, PROXY: '' }, path)
  t.match(await relay({ path, tls: { mode: 'never' }, probes: false, clientInfo: 'proxy-v1' }).probe(), [
    { error: null },
  ])
  t.equal(local.connections[0]!.lines[0], 'PROXY UNKNOWN', 'a unix socket has no address')

  void relay({ ...TO, port: upstream.port, secure: true, clientInfo: 'proxy-v1' }).probe()
  const hello = (): string => upstream.connections[1]?.received.toString('latin1').replace(/^[^\n]*\n/, '') ?? ''
  await until(() => hello() !== '')
  t.strictSame([...Buffer.from(hello(), 'latin1').subarray(0, 2)], [22, 3], 'ClientHello')
})

t.test('a PROXY header: an upstream that does not take the connection', async t => {
  const [probed] = await relay({ ...TO, port: await freePort(), clientInfo: 'proxy-v1' }).probe()
  t.match(probed, { offer: null, error: { code: 'ERR_CONNECTION_LOST' } })
})

t.test('servers are tried in order; one that fails often is left alone, then tried again', async t => {
  const clock = new FakeClock()
  let isDown = true
  const bad: Script = {
    ...BY_DATA,
    greeting: (_line, server) => (isDown ? void server.socket.destroy() : '220 mx\r\n'),
  }
  const first = await startUpstream(t, bad)
  const second = await startUpstream(t)
  const servers = [
    { host: '127.0.0.1', port: first.port },
    { host: '127.0.0.1', port: second.port },
  ]
  const one = await front(t, { name: 'relay.example', tls: { mode: 'never' }, servers, clock, pool: { uses: 1 } })
  for (let i = 0; i < 4; i++) {
    t.match(verdict(await sendMail(one.c)), /^250 /)
    await atRest(one.delivery)
  }
  t.equal(first.connections.length, 3, 'after three failures it is left alone')
  t.equal(second.messages.length, 4)
  t.strictSame(one.delivery.stats()[0]!.failing, [`127.0.0.1:${first.port}`])
  isDown = false
  await clock.tick(5000)
  t.match(verdict(await sendMail(one.c)), /^250 /)
  await atRest(one.delivery)
  t.match(verdict(await sendMail(one.c)), /^250 /)
  t.equal(first.messages.length, 2)
  t.strictSame(one.delivery.stats()[0]!.failing, [])
})

t.test('if all servers have failed lately, the client is told at once', async t => {
  const upstream = await startUpstream(t, { greeting: (_line, server) => void server.socket.destroy() })
  const one = await front(t, { ...TO, port: upstream.port })
  await one.c.command('MAIL FROM:<a@client.example>', 250)
  for (let i = 0; i < 5; i++) await one.c.command('RCPT TO:<b@example.org>', /^451 4\.4\.1 /)
  t.equal(upstream.connections.length, 3)
})

t.test('one server that hangs leaves time for the next', async t => {
  const clock = new FakeClock()
  const hanging = await startUpstream(t, { greeting: '' })
  const good = await startUpstream(t)
  const servers = [
    { host: '127.0.0.1', port: hanging.port },
    { host: '127.0.0.1', port: good.port },
  ]
  const one = await front(t, { name: 'relay.example', tls: { mode: 'never' }, servers, clock })
  await one.c.command('MAIL FROM:<a@client.example>', 250)
  await one.c.send('RCPT TO:<b@example.org>')
  await until(() => hanging.connections.length === 1)
  await clock.tick(15_000)
  await one.c.expect(250)
})

t.test('weights: the heavy one comes first', async t => {
  const light = await startUpstream(t)
  const heavy = await startUpstream(t)
  const servers = [
    { host: '127.0.0.1', port: light.port, weight: 1 },
    { host: '127.0.0.1', port: heavy.port, weight: 1e9 },
  ]
  const one = await front(t, { name: 'relay.example', tls: { mode: 'never' }, servers, pool: { uses: 1 } })
  for (let i = 0; i < 5; i++) t.match(verdict(await sendMail(one.c)), /^250 /)
  t.equal(heavy.messages.length, 5)
})

t.test('a name is looked up at each connect, and each of its addresses is tried', async t => {
  const upstream = await startUpstream(t)
  const one = await front(t, { ...TO, host: 'localhost', port: upstream.port })
  t.match(verdict(await sendMail(one.c)), /^250 /)
  const nowhere = await front(t, { ...TO, host: NOWHERE })
  await nowhere.c.command('MAIL FROM:<a@client.example>', 250)
  await nowhere.c.command('RCPT TO:<b@example.org>', /^451 4\.4\.1 /)
})

t.test('those who ask for a name at the same time share a look-up, which takes one thread', async t => {
  for (const host of ['localhost', NOWHERE]) {
    const asked = addressesOf(host)
    t.equal(addressesOf(host), asked)
    const found = await asked.catch((): string[] => [])
    t.equal(found.includes('127.0.0.1'), host === 'localhost')
    const again = addressesOf(host)
    t.not(again, asked, 'who comes later has another one')
    await again.catch(() => {})
  }
})

t.test('probe: what each server offers, or why there is no session', async t => {
  const upstream = await startUpstream(t)
  const refusing = await startUpstream(t, { EHLO: '550 Go away\r\n' })
  const delivery = relay({
    name: 'relay.example',
    tls: { mode: 'never' },
    servers: [
      { host: '127.0.0.1', port: upstream.port },
      { host: '127.0.0.1', port: refusing.port },
    ],
  })
  const [good, bad] = await delivery.probe()
  t.equal(good!.upstream, `127.0.0.1:${upstream.port}`)
  t.ok(good!.offer?.extensions.has('8BITMIME'))
  t.match(bad, { offer: null, error: { code: 'ERR_REFUSED', step: 'EHLO' } })
})
