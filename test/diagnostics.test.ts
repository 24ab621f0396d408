import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { channels, type RefusalEvent } from '../lib/smtp/diagnostics.ts'
import type { Policy } from '../lib/smtp/hooks.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { converse } from '../lib/testing/index.ts'
import { reply } from '../lib/words/reply.ts'
import { address, begin, deliver, MAIL, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'

type Event = Record<string, unknown>

/** What the channels tell while a test runs. */
function listen(t: { teardown(fn: () => void): unknown }): [string, Event][] {
  const events: [string, Event][] = []
  for (const [name, { name: full }] of Object.entries(channels)) {
    const on = (event: unknown): void => void events.push([name, event as Event])
    subscribe(full, on)
    t.teardown(() => unsubscribe(full, on))
  }
  return events
}

t.test('their names', t => {
  const names = [
    'session',
    'command',
    'reply',
    'message',
    'transaction',
    'refusal',
    'error',
    'limit',
    'login',
    'notice',
  ]
  t.same(Object.keys(channels), names)
  for (const [name, { name: full }] of Object.entries(channels)) t.equal(full, `mailhandler:${name}`)
  t.end()
})

t.test('what a session tells', async t => {
  const events = listen(t)
  const clock = new FakeClock()
  const handler = new SmtpHandler({
    clock,
    auth: { insecure: true },
    onAuth: () => reply(235, 'in'),
    async onMessage(message) {
      await text(message)
      await new Promise<void>(resolve => void clock.after(250, resolve))
    },
  })
  const c = await begin(handler)
  await c.command(`AUTH PLAIN ${Buffer.from('\0joe\0sesame').toString('base64')}`, 235)
  await address(c)
  await c.command('DATA', 354)
  await c.data(MAIL)
  await clock.tick(250)
  await c.expect(250)
  await quit(c)
  await settle()
  t.ok(events.every(([, event]) => event['session'] === handler.session))
  const of = (name: string): Event[] => events.filter(([each]) => each === name).map(([, event]) => event)
  t.same(
    of('session').map(event => event['event']),
    ['start', 'end'],
  )
  t.same(
    of('command').map(({ verb, argument }) => [verb, argument]),
    [
      ['EHLO', 'client.example'],
      ['AUTH', null],
      ['MAIL', 'FROM:<sender@client.example>'],
      ['RCPT', 'TO:<rcpt@example.org>'],
      ['DATA', ''],
      ['QUIT', ''],
    ],
  )
  t.same(
    of('reply').map(event => (event['reply'] as { code: number }).code),
    [220, 250, 235, 250, 250, 354, 250, 221],
  )
  const envelope = { sender: { address: 'sender@client.example' }, recipients: [{ address: 'rcpt@example.org' }] }
  t.match(of('message'), [{ envelope }])
  t.match(of('transaction'), [{ envelope, octets: MAIL.length, milliseconds: 250, verdict: [{ code: 250 }] }])
  t.equal(of('message').length + of('transaction').length, 2)
  t.same([of('error'), of('limit')], [[], []])
  t.equal(events[0]?.[0], 'session')
  t.equal(events.at(-1)?.[0], 'session')
})

t.test('a transaction that is cut short has no verdict', async t => {
  const events = listen(t)
  for (const how of ['reset', 'end'] as const) {
    events.length = 0
    const c = await begin(new SmtpHandler({ onMessage: async message => void (await text(message).catch(() => '')) }))
    await address(c)
    await c.command('DATA', 354)
    c.write('abc')
    await settle()
    c[how]()
    await c.closed()
    await settle()
    const told = events.filter(([name]) => name === 'transaction').map(([, event]) => event)
    t.match(told, [{ verdict: [] }], how)
    t.equal(told.length, 1)
    t.same(told[0]?.['verdict'], [])
  }
})

t.test('errors and limits', async t => {
  const events = listen(t)
  const warnings: Error[] = []
  const warn = (warning: Error): void => void warnings.push(warning)
  process.on('warning', warn)
  t.teardown(() => process.off('warning', warn))
  const boom = new Error('boom')
  const c = await begin(
    new SmtpHandler({
      limits: { recipients: 1 },
      onMailFrom: ({ address }) => (address === '' ? Promise.reject(boom) : undefined),
    }),
  )
  await c.command('MAIL FROM:<>', 451)
  await address(c)
  await c.command('RCPT TO:<two@example.org>', 452)
  await quit(c)
  const told = events.filter(([name]) => name === 'error' || name === 'limit')
  t.same(
    told.map(([name, event]) => [name, event['error'] ?? event['limit']]),
    [
      ['error', boom],
      ['limit', 'recipients'],
    ],
  )
  await settle()
  t.same(warnings, [], 'who listens is told instead of the process')
})

t.test('a session that never began has no end', async t => {
  const events = listen(t)
  new SmtpHandler().on('error', () => {}).destroy()
  await settle()
  t.same(events, [])
})

t.test('free of cost while nobody listens', async t => {
  let published = 0
  for (const channel of Object.values(channels)) {
    t.equal(channel.hasSubscribers, false)
    Object.defineProperty(channel, 'publish', { configurable: true, value: () => published++ })
  }
  const c = await begin(
    new SmtpHandler({
      limits: { recipients: 1 },
      handleError() {},
      onMessage: async message => void (await text(message)),
    }),
  )
  await address(c)
  await c.command('RCPT TO:<two@example.org>', 452)
  await deliver(c, 250)
  await quit(c)
  t.equal(published, 0)
  for (const channel of Object.values(channels)) Reflect.deleteProperty(channel, 'publish')
})

t.test('refusal: the hook, and the policy that refused, by its name', async t => {
  const seen: string[] = []
  const note = (message: unknown) => {
    const { hook, policy, reply } = message as RefusalEvent
    seen.push(`${hook} ${policy} ${reply.code}`)
  }
  subscribe('mailhandler:refusal', note)
  t.teardown(() => unsubscribe('mailhandler:refusal', note))
  const policies: Policy[] = [
    { name: 'first', onMailFrom: () => reply(250, 'fine') },
    { name: 'second', onRcptTo: async ({ address }) => (address === 'x@y' ? reply(550, 'no') : undefined) },
    { onRcptTo: ({ address }) => (address === 'y@y' ? reply(451, 'later') : undefined) },
  ]
  const onMessage = () => reply(554, 'no')
  const onRcptTo = ({ address }: { address: string }) => (address === 'z@y' ? reply(553, 'no') : undefined)
  const c = converse(new SmtpHandler({ policies, onRcptTo, onMessage }))
  await c.expect(220)
  await c.command('EHLO c', 250)
  await c.command('MAIL FROM:<a@b>', 250)
  for (const [to, code] of [
    ['x', 550],
    ['y', 451],
    ['z', 553],
    ['ok', 250],
  ] as const) {
    await c.command(`RCPT TO:<${to}@y>`, code)
  }
  await c.command('DATA', 354)
  await c.data('a\r\n')
  await c.expect(554)
  t.same(seen, ['onRcptTo second 550', 'onRcptTo unnamed 451', 'onRcptTo handler 553', 'onMessage handler 554'])
  await c.command('QUIT', 221)
  await c.closed()
})
