// What a server can do wrong at each step, and that the client ends then, promptly, with the right error.

import t from 'tap'
import { SmtpClient, type ClientStep, type SmtpClientOptions } from '../lib/client.ts'
import type { ClientTimeouts } from '../lib/client/timeouts.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { serveScript, type Answer, type Script, type ScriptedServer } from './fixtures/scripted-server.ts'

const CLEAR: SmtpClientOptions = { name: 'client.example', tls: { mode: 'never' } }

/** A step at which a server fails: how the script names it, and the code of its positive reply. */
interface Place {
  readonly at: string
  readonly step: ClientStep
  readonly code: number
  readonly timeout: keyof ClientTimeouts
  readonly script?: Script
  readonly options?: SmtpClientOptions
  /** Brings a client to the step; what it resolves with is the step's result. */
  run(client: SmtpClient): Promise<unknown>
}

const begin = async (client: SmtpClient): Promise<void> => {
  await client.mail('a@b')
  await client.rcpt('c@d')
}
const XCLIENT = '250-mx\r\n250-PIPELINING\r\n250 XCLIENT ADDR\r\n'

const PLACES: readonly Place[] = [
  { at: 'greeting', step: 'greeting', code: 220, timeout: 'greeting', run: client => client.ready() },
  { at: 'EHLO', step: 'EHLO', code: 250, timeout: 'command', run: client => client.ready() },
  {
    at: 'HELO',
    step: 'HELO',
    code: 250,
    timeout: 'command',
    script: { EHLO: '500 What?\r\n' },
    run: client => client.ready(),
  },
  { at: 'LHLO', step: 'LHLO', code: 250, timeout: 'command', options: { lmtp: true }, run: client => client.ready() },
  {
    at: 'XCLIENT',
    step: 'XCLIENT',
    code: 220,
    timeout: 'greeting',
    script: { EHLO: XCLIENT },
    run: client => client.xclient({}),
  },
  {
    at: 'XFORWARD',
    step: 'XFORWARD',
    code: 250,
    timeout: 'command',
    script: { EHLO: '250-mx\r\n250 XFORWARD NAME\r\n' },
    run: client => client.xforward({ name: 'a.example' }),
  },
  {
    at: 'AUTH',
    step: 'AUTH',
    code: 235,
    timeout: 'command',
    script: { EHLO: '250-mx\r\n250 AUTH PLAIN\r\n' },
    options: { auth: { user: 'a', password: 'b', insecure: true } },
    run: client => client.ready(),
  },
  { at: 'MAIL', step: 'MAIL', code: 250, timeout: 'command', run: client => client.mail('a@b') },
  {
    at: 'RCPT',
    step: 'RCPT',
    code: 250,
    timeout: 'command',
    run: client => client.mail('a@b').then(() => client.rcpt('c@d')),
  },
  { at: 'DATA', step: 'DATA', code: 354, timeout: 'data', run: client => begin(client).then(() => client.data('x')) },
  { at: 'end', step: 'end', code: 250, timeout: 'end', run: client => begin(client).then(() => client.data('x')) },
  { at: 'BDAT', step: 'BDAT', code: 250, timeout: 'end', run: client => begin(client).then(() => client.bdat('x')) },
  { at: 'RSET', step: 'RSET', code: 250, timeout: 'command', run: client => client.rset() },
  { at: 'NOOP', step: 'NOOP', code: 250, timeout: 'command', run: client => client.noop() },
  { at: 'VRFY', step: 'VRFY', code: 250, timeout: 'command', run: client => client.vrfy('a') },
  { at: 'QUIT', step: 'QUIT', code: 221, timeout: 'quit', run: client => client.quit() },
]

interface Outcome {
  readonly result: unknown
  readonly client: SmtpClient
  readonly server: ScriptedServer
}

async function fault(place: Place, answer: Answer, clock?: FakeClock): Promise<Outcome> {
  const client = new SmtpClient({ ...CLEAR, ...place.options, ...(clock && { clock }) })
  const server = serveScript(client, { ...place.script, [place.at]: answer })
  const running = place.run(client).catch((error: unknown) => error)
  if (clock !== undefined) {
    await settle(8)
    await clock.tick(client.failure === null ? LIMITS[place.timeout] - 1 : 0)
    if (client.failure !== null) return { result: 'too early', client, server }
    await clock.tick(1)
  }
  const result = await running
  await settle()
  return { result, client, server }
}

/** Milliseconds; RFC 5321 §4.5.3.2 for the most part. */
const LIMITS: ClientTimeouts = {
  open: 300_000,
  greeting: 300_000,
  tls: 30_000,
  command: 300_000,
  data: 120_000,
  block: 180_000,
  end: 600_000,
  quit: 10_000,
}

const failed = (outcome: Outcome): boolean => outcome.client.destroyed && outcome.server.gone

for (const place of PLACES) {
  const { at, step, code } = place
  t.test(at, async t => {
    t.test('garbage', async t => {
      const garbage = [
        'what?\r\n',
        '\r\n',
        `${code}_OK\r\n`,
        `${code} OK\n`,
        `${code} O\rK\r\n`,
        `${code}-a\r\n222 b\r\n`,
        '\x16\x03\x01\r\n',
      ]
      for (const octets of garbage) {
        const outcome = await fault(place, octets)
        t.match(outcome.result, { name: 'SmtpClientError', code: 'ERR_REPLY_SYNTAX', step }, JSON.stringify(octets))
        t.ok(failed(outcome))
      }
    })

    t.test('codes that are no positive reply here, and no refusal', async t => {
      for (const other of [100, 199, 220, 221, 250, 252, 299, 334, 354, 399, 600, 777, 999]) {
        const accepted = step === 'VRFY' ? [250, 251, 252] : step === 'AUTH' ? [235, 334] : [code]
        if (accepted.includes(other)) continue
        const outcome = await fault(place, `${other} Hm\r\n`)
        t.match(outcome.result, { code: 'ERR_REPLY_UNEXPECTED', step, reply: { code: other } }, String(other))
        t.ok(failed(outcome))
      }
    })

    t.test('half a reply, and the end of the connection', async t => {
      for (const octets of ['', '2', `${code} OK`, `${code} OK\r`, `${code}-OK\r\n`]) {
        const outcome = await fault(place, (_line, server) => {
          server.say(octets)
          server.socket.end()
        })
        t.match(outcome.result, { code: 'ERR_CONNECTION_LOST', step }, JSON.stringify(octets))
        t.ok(failed(outcome))
      }
    })

    t.test('a reset', async t => {
      const outcome = await fault(place, (_line, server) => void server.socket.destroy())
      t.match(outcome.result, { code: 'ERR_CONNECTION_LOST', step, cause: { code: 'ECONNRESET' } })
      t.ok(failed(outcome))
    })

    t.test('421', async t => {
      const outcome = await fault(place, '421 4.3.2 Shutting down\r\n')
      const { result } = outcome
      // A step of the opening fails with it; a command resolves with it, and the connection is over.
      const [reply] = [result].flat() as [{ code: unknown; reply?: { code: number } }]
      t.equal(reply.code === 421 || reply.reply?.code === 421, true)
      t.ok(failed(outcome))
      t.match(outcome.client.failure, { reply: { code: 421 } })
    })

    t.test('two replies in one write', async t => {
      if (step === 'QUIT') return // nothing is read after it
      const whole = step === 'EHLO' && at === 'EHLO' ? '250 mx\r\n' : `${code} OK\r\n`
      const outcome = await fault(place, `${whole}250 Too many\r\n`)
      const { failure } = outcome.client
      if (step === 'DATA') t.match(failure, { code: 'ERR_REPLY_UNEXPECTED', step: 'data' })
      else t.match(failure, { code: 'ERR_REPLY_UNEXPECTED', step: 'idle', reply: { lines: ['Too many'] } })
      t.ok(failed(outcome))
    })

    t.test('silence', async t => {
      const clock = new FakeClock()
      const outcome = await fault(place, () => {}, clock)
      t.match(outcome.result, { code: 'ERR_TIMEOUT', step })
      t.ok(failed(outcome))
      t.equal(clock.timers, 0, 'no timer is left')
    })

    t.test('a reply too long', async t => {
      const long = [`${code} ${'x'.repeat(5000)}\r\n`, 'x'.repeat(5000), `${code}-x\r\n`.repeat(10_000)]
      for (const octets of long) {
        const outcome = await fault(place, octets)
        t.match(outcome.result, { code: 'ERR_REPLY_SYNTAX', step, message: /exceeds/ })
        t.ok(failed(outcome))
      }
    })
  })
}

t.test('a refusal at the opening is an error with its reply', async t => {
  for (const { at, step, ...rest } of PLACES.slice(0, 7)) {
    if (at === 'XFORWARD') continue
    for (const code of [421, 450, 554, 599]) {
      const { result, client } = await fault({ at, step, ...rest }, `${code} 5.7.1 No\r\n`)
      const expected = code === 421 ? /ERR_(?:REFUSED|CONNECTION_LOST)/ : 'ERR_REFUSED'
      t.match(result, { code: expected, step, reply: { code } }, `${at} ${code}`)
      t.equal(client.destroyed, true)
    }
  }
})

t.test('a refusal of a command is its reply', async t => {
  for (const { at, ...rest } of PLACES.slice(7)) {
    for (const code of [400, 450, 500, 550, 599]) {
      if (at === 'QUIT') continue
      const { result, client } = await fault({ at, ...rest }, `${code} No\r\n`)
      const [reply] = [result].flat() as [{ code: number }]
      t.equal(reply.code, code, `${at} ${code}`)
      t.equal(client.destroyed, false)
      client.destroy()
    }
  }
})

t.test('a reply that nobody waits for ends the session', async t => {
  for (const octets of ['250 Hello?\r\n', '354 Go on\r\n', '500 What?\r\n', '2']) {
    const client = new SmtpClient(CLEAR)
    const server = serveScript(client)
    await client.ready()
    await client.mail('a@b')
    server.say(octets)
    await settle()
    if (octets === '2') {
      t.equal(client.failure, null, 'not whole yet')
      server.socket.end()
      await settle()
      t.match(client.failure, { code: 'ERR_CONNECTION_LOST', step: 'idle', message: /in the middle of a reply/ })
    } else t.match(client.failure, { code: 'ERR_REPLY_UNEXPECTED', step: 'idle' })
    await t.rejects(client.rcpt('c@d'), { code: 'ERR_SESSION_ENDED', cause: client.failure! })
    t.equal(server.verbs.includes('RCPT'), false)
  }
})

t.test('a reply that comes before the command has left is not taken for its reply', async t => {
  const client = new SmtpClient(CLEAR)
  const server = serveScript(client)
  await client.ready()
  const mail = client.mail('a@b') // not sent before the end of this turn
  client.write('250 Too early\r\n')
  await t.rejects(mail, { code: 'ERR_REPLY_UNEXPECTED', step: 'idle' })
  await settle()
  t.equal(server.verbs.includes('MAIL'), false)
})

t.test('one reply too many in a pipelined group is never an acceptance of the message', async t => {
  const client = new SmtpClient(CLEAR)
  const server = serveScript(client, {
    MAIL: '250 one\r\n250 two\r\n',
    RCPT: '550 No\r\n',
    DATA: '554 No recipient\r\n',
  })
  const all = await Promise.allSettled([client.mail('a@b'), client.rcpt('c@d'), client.data('x\r\n')])
  t.match(all, [{ value: { lines: ['one'] } }, { value: { lines: ['two'] } }, { value: [{ code: 550 }] }])
  await settle()
  t.match(client.failure, { code: 'ERR_REPLY_UNEXPECTED', step: 'idle', reply: { code: 554 } })
  t.strictSame(server.messages, [])
})

t.test('354 without a recipient: no mail data, and the end', async t => {
  const client = new SmtpClient(CLEAR)
  const server = serveScript(client, { RCPT: '550 No\r\n' })
  client.mail('a@b')
  client.rcpt('c@d')
  await t.rejects(client.data('x\r\n'), { code: 'ERR_REPLY_UNEXPECTED', step: 'DATA', reply: { code: 354 } })
  await settle()
  t.strictSame(server.messages, [])
  t.notOk(server.received.includes('x\r\n'))
})

t.test('a recipient of another transaction is no recipient', async t => {
  const ways: [string, (client: SmtpClient) => Promise<unknown>][] = [
    ['after RSET', client => client.rset()],
    ['after a message', client => client.data('y\r\n')],
    ['after a message by BDAT', client => client.bdat('y\r\n')],
  ]
  for (const [name, end] of ways) {
    const client = new SmtpClient(CLEAR)
    let recipients = 0
    const server = serveScript(client, { RCPT: () => (++recipients === 1 ? '250 OK\r\n' : '550 No\r\n') })
    await client.mail('a@b')
    await client.rcpt('c@d')
    await end(client)
    const before = server.messages.length
    await client.mail('a@b')
    t.match(await client.rcpt('c@d'), { code: 550 })
    await t.rejects(client.data('x\r\n'), { code: 'ERR_REPLY_UNEXPECTED', step: 'DATA' }, name)
    t.equal(server.messages.length, before)
  }
})

t.test('a transaction is never joined by another', async t => {
  const client = new SmtpClient(CLEAR)
  const server = serveScript(client, { DATA: '451 Later\r\n' })
  await client.mail('a@b')
  await client.rcpt('c@d')
  await t.rejects(client.mail('e@f'), { code: 'ERR_ORDER', step: 'MAIL', message: /rset/ })
  t.match(await client.data('x'), [{ code: 451 }])
  await t.rejects(client.mail('e@f'), { code: 'ERR_ORDER' }, 'DATA was refused: it is still open')
  await client.rset()
  // What cannot be written takes what follows it along.
  await client.mail('a@b')
  await client.rcpt('c@d')
  await client.rset()
  const group = [client.mail('a b'), client.rcpt('x@y'), client.startData(), client.bdat('x').then(() => {})]
  const settled = await Promise.allSettled(group)
  t.match(settled, [
    { reason: { code: 'ERR_OPTION', step: 'MAIL' } },
    { reason: { code: 'ERR_ORDER', step: 'RCPT', message: /mail\(\) failed/ } },
    { reason: { code: 'ERR_ORDER', step: 'DATA' } },
    { reason: { code: 'ERR_ORDER', step: 'BDAT' } },
  ])
  t.strictSame(server.verbs, ['EHLO', 'MAIL', 'RCPT', 'DATA', 'RSET', 'MAIL', 'RCPT', 'RSET'])
  // A refused MAIL opens none, whatever was sent behind it.
  const refused = new SmtpClient(CLEAR)
  const answers = { RCPT: '503 No\r\n', DATA: '503 No\r\n' }
  serveScript(refused, { ...answers, MAIL: line => (line.includes('no') ? '550 No\r\n' : '250 OK\r\n') })
  const [no, , data] = await Promise.all([refused.mail('no@b'), refused.rcpt('c@d'), refused.data('x')])
  t.match([no, data], [{ code: 550 }, [{ code: 503 }]])
  t.match(await refused.mail('a@b'), { code: 250 })
  const other = new SmtpClient(CLEAR)
  serveScript(other, { MAIL: line => (line.includes('no') ? '550 No\r\n' : '250 OK\r\n') })
  t.match(await other.mail('no@b'), { code: 550 })
  t.match(await other.mail('a@b'), { code: 250 })
  await other.rcpt('c@d')
  const message = other.data('x')
  t.match(await other.mail('e@f'), { code: 250 }, 'which is sent behind the message')
  t.match(await message, [{ code: 250 }])
})

t.test('a group fails as a whole when the connection is lost', async t => {
  const client = new SmtpClient(CLEAR)
  serveScript(client, { RCPT: (line, server) => (line.includes('2') ? void server.socket.end() : '250 OK\r\n') })
  const group = [client.mail('a@b'), client.rcpt('1@d'), client.rcpt('2@d'), client.rcpt('3@d'), client.startData()]
  const settled = await Promise.allSettled(group)
  t.match(settled, [
    { status: 'fulfilled' },
    { status: 'fulfilled' },
    { reason: { code: 'ERR_CONNECTION_LOST' } },
    { reason: { code: 'ERR_CONNECTION_LOST' } },
    { reason: { code: 'ERR_CONNECTION_LOST' } },
  ])
})

t.test('the opening has a limit of its own', async t => {
  const clock = new FakeClock()
  const client = new SmtpClient({ ...CLEAR, clock, timeouts: { open: 30_000 } })
  const server = serveScript(client, { greeting: () => {}, EHLO: () => {} })
  const ready = client.ready()
  await clock.tick(20_000)
  server.say('220 mx\r\n')
  await clock.tick(9_999)
  t.equal(client.failure, null)
  await clock.tick(1)
  await t.rejects(ready, { code: 'ERR_TIMEOUT', step: 'EHLO', message: /not open within 30000 ms/ })
})

t.test('an open session has no limit while nothing is asked', async t => {
  const clock = new FakeClock()
  const client = new SmtpClient({ ...CLEAR, clock })
  serveScript(client)
  await client.ready()
  await clock.tick(10_000_000)
  t.match(await client.noop(), { code: 250 })
  t.match(await client.quit(), { code: 221 })
})

t.test('a server that does not close after 221 is left', async t => {
  const clock = new FakeClock()
  const client = new SmtpClient({ ...CLEAR, clock })
  const server = serveScript(client)
  server.socket.removeAllListeners('end') // which would end it
  t.match(await client.quit(), { code: 221 })
  await clock.tick(9_999)
  t.equal(client.destroyed, false)
  await clock.tick(1)
  t.equal(client.destroyed, true)
  t.equal(client.failure, null)
  t.equal(clock.timers, 0)
})
