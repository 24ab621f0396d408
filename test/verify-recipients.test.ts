// verifyRecipients(): what is asked, kept, counted; what the client is told; and the relay that answers.

import t, { type Test } from 'tap'
import { reply, SmtpHandler, type Reply } from '../lib/index.ts'
import {
  relay,
  verifyRecipients,
  type RecipientVerifier,
  type RelayOptions,
  type VerifyRecipientsOptions,
} from '../lib/relay.ts'
import { converse, type Conversation } from '../lib/testing/index.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { until } from './fixtures/until.ts'
import { BY_DATA, offers, startUpstream } from './fixtures/upstream.ts'
import type { Script } from './fixtures/scripted-server.ts'

const UNKNOWN: Reply = reply(550, '5.1.1', 'No such mailbox here')

/** A verifier that knows those whose name begins with `k`, and counts what it is asked. */
function directory(answer?: () => Promise<Reply>): RecipientVerifier & { readonly asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    verifyRecipient(recipient) {
      asked.push(recipient.address)
      if (answer !== undefined) return answer()
      return Promise.resolve(recipient.address.startsWith('k') ? reply(250, '2.1.5', 'Fine') : UNKNOWN)
    },
  }
}

/** A session of a client past MAIL. */
async function session(
  t: Test,
  options: VerifyRecipientsOptions,
  address = '192.0.2.1',
): Promise<{ c: Conversation; errors: Error[] }> {
  return past(t, verifyRecipients(options), address)
}

async function past(
  t: Test,
  policy: ReturnType<typeof verifyRecipients>,
  address: string,
): Promise<{ c: Conversation; errors: Error[] }> {
  const errors: Error[] = []
  const handler = new SmtpHandler({
    client: { address, port: 4242 },
    limits: { errors: 1000, softErrors: 1000 },
    policies: [policy],
    handleError: error => void errors.push(error),
    onMessage: message => void message.resume(),
  })
  t.teardown(() => handler.destroy())
  const c = converse(handler)
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.command('MAIL FROM:<ann@example.net>', 250)
  return { c, errors }
}

t.test('an unknown recipient is refused in the words of whoever knows; answers are kept', async t => {
  const clock = new FakeClock()
  const upstream = directory()
  const { c } = await session(t, { upstream, clock, cache: { positive: 1000, negative: 100 } })
  for (let i = 0; i < 3; i++) {
    await c.command('RCPT TO:<kim@Example.org>', 250)
    t.equal((await c.command('RCPT TO:<joe@example.org>')).text, '550 5.1.1 No such mailbox here')
  }
  t.strictSame(upstream.asked, ['kim@Example.org', 'joe@example.org'])
  await clock.tick(100)
  await c.command('RCPT TO:<kim@example.org>', 250)
  await c.command('RCPT TO:<joe@example.org>', 550)
  t.equal(upstream.asked.length, 3, 'only the negative answer is asked for again')
  await clock.tick(900)
  await c.command('RCPT TO:<kim@example.org>', 250)
  t.equal(upstream.asked.length, 4)
  await c.command('RCPT TO:<Postmaster>', 250)
  t.equal(upstream.asked.length, 4, 'postmaster without a domain is never asked about')
})

t.test('the cache is bounded, and unknown recipients push out no known ones', async t => {
  const upstream = directory()
  const { c } = await session(t, { upstream, cache: { size: 3 }, unknown: { most: 1000 } })
  await c.command('RCPT TO:<kim@example.org>', 250)
  for (let i = 0; i < 10; i++) await c.command(`RCPT TO:<x${i}@example.org>`, 550)
  await c.command('RCPT TO:<kim@example.org>', 250)
  t.equal(upstream.asked.filter(address => address.startsWith('kim')).length, 1)
  await c.command('RCPT TO:<x0@example.org>', 550)
  t.equal(upstream.asked.filter(address => address.startsWith('x0')).length, 2, 'the oldest unknown one is gone')
})

t.test('equal questions at the same time are one', async t => {
  let answer: (reply: Reply) => void = () => {}
  const upstream = directory(() => new Promise(resolve => (answer = resolve)))
  const policy = verifyRecipients({ upstream })
  const one = await past(t, policy, '192.0.2.1')
  const two = await past(t, policy, '192.0.2.2')
  const both = [one, two].map(({ c }) => c.command('RCPT TO:<kim@example.org>'))
  await settle()
  answer(UNKNOWN)
  t.strictSame(
    (await Promise.all(both)).map(({ code }) => code),
    [550, 550],
  )
  t.equal(upstream.asked.length, 1)
})

t.test('a network that asks for too many unknown recipients learns nothing more, until the window is over', async t => {
  const clock = new FakeClock()
  const upstream = directory()
  const policy = verifyRecipients({ upstream, clock, unknown: { most: 3, window: 1000, except: ['198.51.100.0/24'] } })
  const { c } = await past(t, policy, '192.0.2.1')
  for (let i = 0; i < 9; i++) await c.command('RCPT TO:<same@example.org>', 550)
  for (const name of ['one', 'two']) await c.command(`RCPT TO:<${name}@example.org>`, 550)
  const before = upstream.asked.length
  const refused = '450 4.7.1 Too many unknown recipients, try again later'
  t.equal((await c.command('RCPT TO:<kim@example.org>')).text, refused)
  t.equal((await c.command('RCPT TO:<joe@example.org>')).text, refused)
  t.equal(upstream.asked.length, before, 'nobody is asked')
  const same = await past(t, policy, '192.0.2.1')
  t.equal((await same.c.command('RCPT TO:<kim@example.org>')).text, refused, 'in another session neither')
  const other = await past(t, policy, '192.0.2.2')
  await other.c.command('RCPT TO:<kim@example.org>', 250)
  const exempt = await past(t, policy, '198.51.100.7')
  for (let i = 0; i < 5; i++) await exempt.c.command(`RCPT TO:<x${i}@example.org>`, 550)
  await clock.tick(1000)
  await c.command('RCPT TO:<kim@example.org>', 250)
})

t.test('no answer: it passes, or 451, and is asked again', async t => {
  const answers: (() => Promise<Reply>)[] = [
    () => Promise.reject(new Error('down')),
    () => Promise.resolve(reply(450, '4.2.1', 'Busy')),
    () => new Promise(() => {}),
  ]
  for (const answer of answers) {
    for (const [onFailure, code] of [
      ['accept', 250],
      ['defer', 451],
    ] as const) {
      const clock = new FakeClock()
      const upstream = directory(answer)
      const { c, errors } = await session(t, { upstream, clock, onFailure, timeout: 500 })
      for (let i = 1; i <= 2; i++) {
        const told = c.command('RCPT TO:<kim@example.org>')
        await settle()
        await clock.tick(500)
        t.equal((await told).code, code)
        t.equal(upstream.asked.length, i)
      }
      if (onFailure === 'accept') t.strictSame(errors, [])
    }
  }
})

t.test('options that are wrong', t => {
  const upstream = directory()
  const cases: [object, RegExp][] = [
    [{}, /upstream is a relay/],
    [{ upstream: {} }, /upstream is a relay/],
    [{ upstream, onFailure: 'x' }, /onFailure is accept or defer/],
    [{ upstream, sender: 'no mailbox at all\r\n' }, /sender is a mailbox/],
    [{ upstream, cache: { positive: -1 } }, /cache\.positive/],
    [{ upstream, unknown: { most: 'x' } }, /unknown\.most/],
    [{ upstream, unknown: { except: ['x'] } }, /network "x"/],
    [{ upstream, unknown: { except: 'x' } }, /unknown\.except is a list/],
    [{ upstream, cahce: {} }, /cahce/],
  ]
  for (const [options, message] of cases) {
    t.throws(() => verifyRecipients(options as VerifyRecipientsOptions), { code: 'ERR_OPTION', message })
  }
  t.end()
})

const KNOWS: Script = {
  ...BY_DATA,
  RCPT: line => (line.includes('<k') ? '250 2.1.5 Fine\r\n' : '550 5.1.1 Nobody of that name\r\n'),
}

/** A relay to an upstream with this script, and a session of a client in front. */
async function relayed(t: Test, script: Script, options: Omit<RelayOptions, 'host' | 'port'> = {}) {
  const upstream = await startUpstream(t, script)
  const delivery = relay({
    host: '127.0.0.1',
    port: upstream.port,
    name: 'relay.example',
    tls: { mode: 'never' },
    probes: false,
    ...options,
  })
  t.teardown(() => delivery.close())
  const handler = new SmtpHandler({
    client: { address: '192.0.2.1', port: 4242 },
    policies: [verifyRecipients({ upstream: delivery })],
    delivery,
  })
  t.teardown(() => handler.destroy())
  const c = converse(handler)
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.command('MAIL FROM:<ann@example.net>', 250)
  return { upstream, delivery, c }
}

t.test('a relay asks by MAIL, RCPT and RSET, and keeps the connection', async t => {
  const { upstream, delivery, c } = await relayed(t, KNOWS)
  t.equal((await c.command('RCPT TO:<joe@example.org>')).text, '550 5.1.1 Nobody of that name')
  await until(() => delivery.stats()[0]!.kept === 1)
  t.strictSame(upstream.connections[0]!.lines, [
    'EHLO relay.example',
    'MAIL FROM:<>',
    'RCPT TO:<joe@example.org>',
    'RSET',
  ])
  t.match(delivery.stats(), [{ connections: 1 }])
  await c.command('RCPT TO:<kim@example.org>', 250)
  await c.command('DATA', 354)
  c.write('Subject: x\r\n\r\nhello\r\n.\r\n')
  await c.expect(250)
  t.equal(upstream.messages.length, 1)
  t.equal(upstream.connections.length, 1, 'the question and the mail have shared a connection')
})

t.test('no question is asked in the name of a client', async t => {
  const { upstream, c } = await relayed(t, {
    ...KNOWS,
    EHLO: offers('PIPELINING', 'XCLIENT NAME ADDR'),
    XCLIENT: '220 mx\r\n',
  })
  await c.command('RCPT TO:<kim@example.org>', 250)
  await c.command('RCPT TO:<joe@example.org>', 550)
  await c.command('RSET', 250)
  await settle()
  await c.command('MAIL FROM:<ann@example.net>', 250)
  await c.command('RCPT TO:<karl@example.org>', 250)
  for (const { lines } of upstream.connections) {
    const told = lines.findIndex(line => line.startsWith('XCLIENT'))
    const asked = lines.lastIndexOf('MAIL FROM:<>')
    t.ok(told === -1 || asked < told, lines.join(' / '))
  }
  t.equal(upstream.connections.flatMap(({ lines }) => lines).filter(line => line === 'MAIL FROM:<>').length, 3)
})

t.test('an upstream that refuses this server, or is not there: no answer, nothing kept', async t => {
  const scripts: Script[] = [
    { ...BY_DATA, MAIL: '550 5.7.1 Not you\r\n' },
    { ...BY_DATA, RCPT: '530 5.7.0 Log in\r\n' },
    { ...BY_DATA, RCPT: '421 4.3.2 Stopping\r\n' },
    { greeting: '554 No\r\n' },
    { ...BY_DATA, RCPT: (_, { socket }) => void socket.destroy() },
  ]
  for (const script of scripts) {
    const { delivery } = await relayed(t, script)
    const policy = verifyRecipients({ upstream: delivery, onFailure: 'defer' })
    const { c } = await past(t, policy, '192.0.2.1')
    t.equal((await c.command('RCPT TO:<kim@example.org>')).text.slice(0, 9), '451 4.4.1')
  }
})

t.test('a question past its time ends its connection', async t => {
  const { upstream, delivery } = await relayed(t, { ...BY_DATA, RCPT: () => {} })
  const clock = new FakeClock()
  const { c } = await session(t, { upstream: delivery, timeout: 50, onFailure: 'defer', clock })
  await c.send('RCPT TO:<kim@example.org>')
  await until(() => upstream.verbs.includes('RCPT'))
  await clock.tick(50)
  await c.expect(451)
  await until(() => upstream.connections[0]!.gone && delivery.stats()[0]!.connections === 0)
})

t.test('with one connection, or one for a network, a question and the mail take turns', async t => {
  for (const pool of [{ connections: 1 }, { connections: 4 }]) {
    const upstream = await startUpstream(t, {
      ...BY_DATA,
      RCPT: line => (line.includes('k') ? '250 2.1.5 Fine\r\n' : '550 5.1.1 No such mailbox here\r\n'),
    })
    // A session that waited for the connection that it holds itself would wait for ever.
    const clock = new FakeClock()
    const to = { host: '127.0.0.1', port: upstream.port, tls: { mode: 'never' } } as const
    const delivery = relay({ ...to, probes: false, pool, clock })
    const handler = new SmtpHandler({
      client: { address: '192.0.2.1', port: 4242 },
      policies: [verifyRecipients({ upstream: delivery, onFailure: 'defer', clock })],
      delivery,
      limits: { softErrors: 100 },
      clock,
    })
    t.teardown(() => handler.destroy())
    const c = converse(handler)
    await c.expect(220)
    await c.command('EHLO client.example', 250)
    for (let mail = 0; mail < 2; mail++) {
      await c.command('MAIL FROM:<ann@example.net>', 250)
      for (let i = 0; i < 10; i++) {
        await c.command(`RCPT TO:<k${mail}-${i}@example.org>`, 250)
        await c.command(`RCPT TO:<u${mail}-${i}@example.org>`, '550 5.1.1 No such mailbox here')
      }
      await c.command('DATA', 354)
      c.write('Subject: x\r\n\r\nx\r\n.\r\n')
      await c.expect(250)
    }
    t.equal(upstream.messages.length, 2)
    const last = upstream.connections.flatMap(({ lines }) => lines).filter(line => line.startsWith('RCPT')).slice(-10) // prettier-ignore
    t.strictSame(
      last,
      Array.from({ length: 10 }, (_, i) => `RCPT TO:<k1-${i}@example.org>`),
    )
  }
})
