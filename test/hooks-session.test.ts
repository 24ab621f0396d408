// What hooks get (session, sender, recipient), and the hooks that judge nothing: onReset and onClose.

import { finished } from 'node:stream/promises'
import t from 'tap'
import type { Policy } from '../lib/smtp/hooks.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { Recipient, Sender } from '../lib/smtp/envelope.ts'
import type { Session } from '../lib/smtp/session.ts'
import { converse } from '../lib/testing/conversation.ts'
import { connect } from '../lib/testing/duplex-pair.ts'
import { certificate } from './fixtures/certificates.ts'
import { address, begin, deliver, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { NEVER, readAll, watched, watchProcess } from './fixtures/hooks.ts'
import { secureConversation } from './fixtures/secure-client.ts'

watchProcess(t)

const onMessage = readAll

t.test('session.signal is aborted with the connection, not with the command', async t => {
  let early: AbortSignal | null = null
  const handler = new SmtpHandler({ onConnect: session => void (early = session.signal), onMessage })
  const client = connect(handler)
  const c = await begin(client)
  await address(c)
  await deliver(c, 250)
  t.equal((early as AbortSignal | null)?.aborted, false)
  t.equal(handler.session.signal, early)
  client.destroy()
  await finished(handler, { error: false } as never).catch(() => {})
  t.equal((early as AbortSignal | null)?.aborted, true)
  t.equal(new SmtpHandler().session.signal.aborted, false)
})

t.test('a policy passes `trusted` to the policies behind it', async t => {
  const seen: unknown[] = []
  const c = await begin(
    new SmtpHandler({
      onMessage,
      policies: [
        {
          onConnect: session => void (session.trusted = 'our own network'),
          onRcptTo: recipient => {
            if (recipient.localPart === 'postmaster') recipient.trusted = 'postmaster'
          },
        },
        {
          onHelo: session => void seen.push(session.trusted),
          onRcptTo: (recipient, session) => void seen.push([recipient.trusted, session.trusted]),
          onData: session => void seen.push(session.envelope?.recipients.map(each => each.trusted)),
        },
      ],
    }),
  )
  await address(c, 'postmaster@example.org', 'joe@example.org')
  await deliver(c, 250)
  await quit(c)
  const own = 'our own network'
  t.same(seen, [own, ['postmaster', own], [null, own], ['postmaster', null]])
})

t.test('sender and recipient are parsed, and stand in the envelope', async t => {
  let sender: Sender | null = null
  let recipient: Recipient | null = null
  const handler = new SmtpHandler({
    extensions: { DSN: true },
    onMailFrom: each => void (sender = each),
    onRcptTo: each => void (recipient = each),
    onMessage,
  })
  const c = await begin(handler)
  await c.command('MAIL FROM:<"a b"@Example.org> SIZE=100 RET=HDRS', 250)
  await c.command('RCPT TO:<Joe@[192.0.2.1]> NOTIFY=NEVER', 250)
  t.match(sender, { localPart: '"a b"', parameters: { size: 100, ret: 'HDRS' } })
  t.match(recipient, { localPart: 'Joe', trusted: null })
  t.same(handler.session.envelope, {
    sender,
    recipients: [recipient],
    parameters: (sender as Sender | null)?.parameters,
  })
  await quit(c)
})

t.test('onReset: after RSET, a new HELO and each transaction; onClose: at the end', async t => {
  const log: string[] = []
  const note = (name: string) => ({
    onReset: (session: Session) => void log.push(`${name} reset ${session.phase}`),
    onClose: () => void log.push(`${name} close`),
  })
  const c = converse(new SmtpHandler({ policies: [note('a')], ...note('own'), onMessage }))
  const transaction = () => address(c).then(() => deliver(c, 250))
  const chunks = () => address(c).then(() => c.command('BDAT 5\r\nabc', 250))
  /** What the client does, what both the policy and the handler are told then. */
  const table: [() => Promise<unknown>, string[]][] = [
    [() => c.expect(220), []],
    [() => c.command('RSET', 250), []],
    [() => c.command('EHLO a.example', 250), []],
    [() => c.command('EHLO a.example', 250), ['reset greeted']],
    [() => c.command('RSET', 250), ['reset greeted']],
    [() => address(c), []],
    [() => c.command('RSET', 250), ['reset greeted']],
    [transaction, ['reset greeted']],
    [chunks, []],
    [() => c.command('RSET', 250), ['reset greeted']],
    [() => quit(c), ['close']],
  ]
  for (const [act, told] of table) {
    await act()
    await settle()
    t.same(
      log.splice(0),
      told.flatMap(each => [`a ${each}`, `own ${each}`]),
    )
  }
})

/** An onReset or onClose that must not keep the next one from being called. */
const BAD: Record<string, NonNullable<Policy['onReset']>> = {
  throws: () => {
    throw new Error('boom')
  },
  rejects: () => Promise.reject(new Error('boom')),
  'returns a refusal': () => NEVER as unknown as undefined,
  'resolves with a refusal': async () => NEVER as unknown as undefined,
  'never settles': () => new Promise(() => {}),
}

for (const [name, bad] of Object.entries(BAD)) {
  t.test(`onReset and onClose of the handler are called though that of a policy ${name}`, async t => {
    const log: string[] = []
    const clock = new FakeClock()
    const { handler } = watched({
      clock,
      policies: [{ onReset: bad, onClose: bad }],
      onReset: () => void log.push('reset'),
      onClose: () => void log.push('close'),
    })
    const c = await begin(handler)
    await c.send('RSET')
    await clock.tick(240_000)
    await c.expect(250)
    await c.command('QUIT', 221)
    c.end()
    await clock.tick(240_000)
    await c.closed()
    t.same(log, ['reset', 'close'])
    t.equal(clock.timers, 0)
  })
}

type Client = Awaited<ReturnType<typeof begin>>
const beginData = (c: Client) => address(c).then(() => c.command('DATA', 354))

const ENDS: Record<string, (c: Client) => unknown> = {
  QUIT: c => c.command('QUIT', 221),
  'half-close': c => c.end(),
  reset: c => c.reset(),
  'reset with an error': c => c.reset(new Error('ECONNRESET')),
  'reset in a transaction': async c => (await address(c), c.reset()),
  'reset in mail data': async c => (await beginData(c), c.write('Subject'), c.reset()),
  'half-close in mail data': async c => (await beginData(c), c.write('x'), c.end()),
  HTTP: c => c.command('GET / HTTP/1.1', 521),
}

for (const [name, end] of Object.entries(ENDS)) {
  t.test(`onClose and logResult are called once: ${name}`, async t => {
    let closes = 0
    let results = 0
    const handler = new SmtpHandler({
      onMessage,
      onClose: async () => void (await settle(1), closes++),
      logResult: () => void results++,
    })
    const c = await begin(handler)
    await end(c)
    await c.closed()
    await settle()
    t.same([closes, results], [1, 1])
  })
}

t.test('session.talkedEarly: input came before the greeting', async t => {
  for (const early of [true, false]) {
    let greet = (): void => {}
    const handler = new SmtpHandler({ onConnect: () => new Promise(resolve => (greet = resolve)) })
    const c = converse(handler)
    if (early) c.write('EHLO client.example\r\n')
    await settle()
    t.equal(handler.session.talkedEarly, false)
    greet()
    await c.expect(220)
    t.equal(handler.session.talkedEarly, early)
    await (early ? c.expect(250) : c.command('EHLO client.example', 250))
    t.equal(handler.session.talkedEarly, early)
    await quit(c)
  }
})

t.test('session.offered: what EHLO listed, not HELO; session.serverName: the name of the greeting', async t => {
  const handler = new SmtpHandler({ name: 'mx.example.org', extensions: { SIZE: false } })
  const { session } = handler
  t.equal(session.serverName, 'mx.example.org')
  t.equal(session.offered.size, 0)
  const c = await begin(handler)
  t.ok(session.offered.has('PIPELINING'))
  t.notOk(session.offered.has('SIZE'))
  t.notOk(session.offered.has('STARTTLS'))
  await c.command('HELO client.example', 250)
  t.equal(session.offered.size, 0)
  await quit(c)
})

t.test('session.offered: STARTTLS before it, not after it; nothing before the next EHLO', async t => {
  const offers: boolean[] = []
  const handler = new SmtpHandler({
    tls: certificate(),
    onSecure: session => void t.equal(session.offered.size, 0),
    onMailFrom: (_, session) => void offers.push(session.offered.has('STARTTLS')),
  })
  const c = await secureConversation(handler)
  await c.command('EHLO client.example', 250)
  await c.command('MAIL FROM:<>', 250)
  await quit(c)
  const clear = new SmtpHandler({ tls: certificate() })
  const d = await begin(connect(clear))
  t.ok(clear.session.offered.has('STARTTLS'))
  await quit(d)
  t.strictSame(offers, [false])
})
