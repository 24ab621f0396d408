// webhook(): what a service gets, and what it costs.

import { createHash, createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { resolveWebhook } from '../lib/deliveries/webhook/options.ts'
import { webhook, type WebhookEnvelope, type WebhookOptions } from '../lib/webhook.ts'
import { startExample } from './fixtures/example.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { selfSigned } from './fixtures/self-signed.ts'
import { until } from './fixtures/until.ts'
import { answer, begin, front, parseForm, startService } from './fixtures/webhook-service.ts'

const MAIL = 'Subject: hello\r\n\r\nHello.\r\n.stuffed\r\n'
const STUFFED = 'Subject: hello\r\n\r\nHello.\r\n..stuffed\r\n.\r\n'

const hmac = (secret: string, ...pieces: readonly (string | Buffer)[]): string => {
  const made = createHmac('sha256', secret)
  for (const piece of pieces) made.update(piece)
  return made.digest('hex')
}

t.test('a form: envelope, message, and last the digest of both', async t => {
  const service = await startService(t)
  const { c, errors } = await front(t, {
    url: `${service.url}?token=x`,
    secret: 'hush',
    headers: { authorization: 'Bearer y' },
    header: ({ envelope }) => ({ 'X-Id': envelope!.id }),
    clock: new FakeClock(),
  })
  await begin(c, ['carl@example.org', 'bob@example.org'])
  c.write(STUFFED)
  await c.expect({ code: 250, status: '2.0.0', text: 'Delivered' } as never)
  const [posted] = service.complete
  t.match(posted!.request, {
    method: 'POST',
    url: '/mail?token=x',
    headers: { authorization: 'Bearer y', 'user-agent': 'mailhandler', 'transfer-encoding': 'chunked' },
  })
  const { envelope, json, message, digest, names } = await parseForm(posted!)
  t.strictSame(names, ['envelope', 'message', 'digest'])
  t.match(envelope, {
    time: '2026-01-01T00:00:00.000Z',
    sender: 'anna@client.example',
    recipients: ['carl@example.org', 'bob@example.org'],
    client: '192.0.2.1',
    name: null,
    helo: 'client.example',
    user: null,
    protocol: 'ESMTP',
  })
  t.equal(message.toString(), `X-Id: ${envelope.id}\r\n${MAIL}`)
  const key = createHash('sha256').update(`anna@client.example\nbob@example.org\ncarl@example.org\n\n${MAIL}`)
  t.equal(digest.key, key.digest('hex'), 'of the message as it came: a retry has the same')
  t.equal(digest.signature, hmac('hush', json, '\n', message, '\n', digest.key))
  t.strictSame(errors, [])
})

t.test('raw: the body is the message, the digest is in trailers', async t => {
  const service = await startService(t)
  const { c } = await front(t, { url: new URL(service.url), secret: 'hush', form: 'raw' })
  await c.command('MAIL FROM:<bjørn@client.example> SMTPUTF8', 250)
  await c.command('RCPT TO:<bob@example.org>', 250)
  await c.command('DATA', 354)
  c.write(STUFFED)
  await c.expect(250)
  const [{ request, body }] = service.complete as [(typeof service.complete)[0]]
  const json = String(request.headers['mailhandler-envelope'])
  t.equal((JSON.parse(json) as WebhookEnvelope).sender, 'bjørn@client.example')
  t.match(json, /^[ -~]+$/)
  t.equal(request.headers['content-type'], 'message/rfc822')
  t.equal(request.headers.trailer, 'mailhandler-key, mailhandler-signature')
  t.equal(body.toString(), MAIL)
  const key = String(request.trailers['mailhandler-key'])
  t.match(key, /^[\da-f]{64}$/)
  t.equal(request.trailers['mailhandler-signature'], hmac('hush', json, '\n', body, '\n', key))
})

t.test('without a secret there is a key and no signature', async t => {
  const service = await startService(t)
  for (const form of ['raw', 'multipart'] as const) {
    const { c } = await front(t, { url: service.url, form })
    await begin(c)
    c.write('.\r\n')
    await c.expect(250)
  }
  const [raw, multipart] = service.complete
  t.equal(raw!.body.length, 0)
  const { digest, message } = await parseForm(multipart!)
  t.strictSame(Object.keys(digest), ['key'])
  t.equal(message.length, 0)
  t.equal(raw!.request.trailers['mailhandler-key'], digest.key)
  t.notOk('mailhandler-signature' in raw!.request.trailers)
})

t.test('the retry of a sender has the same key, another message or recipient has not', async t => {
  const service = await startService(t)
  const { c } = await front(t, { url: service.url, header: ({ envelope }) => ({ 'X-Id': envelope!.id }) })
  const send = async (recipients: readonly string[], text: string): Promise<string> => {
    await begin(c, recipients)
    c.write(`${text}\r\n.\r\n`)
    await c.expect(250)
    return (await parseForm(service.complete.at(-1)!)).digest.key
  }
  const first = await send(['a@example.org', 'b@example.org'], 'x')
  t.equal(await send(['b@example.org', 'a@example.org'], 'x'), first)
  t.not(await send(['b@example.org'], 'x'), first)
  t.not(await send(['a@example.org', 'b@example.org'], 'y'), first)
  t.equal(service.connections, 1, 'the connection is used again')
})

t.test('octets pass as they are, in pieces of any size', async t => {
  const service = await startService(t)
  const { c } = await front(t, { url: service.url }, { bareNewline: 'allow', size: 0 })
  const octets = Buffer.concat([Buffer.from('\r\n'), randomBytes(2_999_998)])
  await c.command('MAIL FROM:<a@client.example> BODY=BINARYMIME', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  for (let from = 0; from < octets.length; from += 1_000_000) {
    c.write(`BDAT 1000000${from === 2_000_000 ? ' LAST' : ''}\r\n`)
    c.write(octets.subarray(from, from + 1_000_000))
    await c.expect(250)
  }
  t.ok((await parseForm(service.complete[0]!)).message.equals(octets))
})

t.test('raw: an envelope has to fit into a header', async t => {
  const service = await startService(t)
  const { c } = await front(t, { url: service.url, form: 'raw' })
  await c.command('MAIL FROM:<anna@client.example>', 250)
  const name = 'x'.repeat(60)
  let accepted = 0
  for (let i = 0; ; i++) {
    const { code, text } = await c.command(`RCPT TO:<${name}@${i}.${name}.example>`)
    if (code !== 250) {
      t.match(text, /^452 4\.5\.3 /)
      break
    }
    accepted++
  }
  t.ok(accepted > 20 && accepted < 60, `${accepted}`)
  await c.command('DATA', 354)
  c.write('.\r\n')
  await c.expect(250)
  const { recipients } = JSON.parse(
    String(service.complete[0]!.request.headers['mailhandler-envelope']),
  ) as WebhookEnvelope
  t.equal(recipients.length, accepted)
})

t.test('LMTP: one verdict for all recipients', async t => {
  const service = await startService(t, answer(503))
  const { c } = await front(t, { url: service.url }, { lmtp: true })
  await begin(c, ['a@example.org', 'b@example.org'])
  c.write(STUFFED)
  await c.expect(451)
  await c.expect(451)
})

t.test('over TLS: a certificate has to be valid', async t => {
  const { key, cert } = selfSigned()
  let requests = 0
  const server = createSecureServer({ key, cert }, (request, response) => {
    requests++
    request.resume().on('end', () => response.end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const trusting = { url, tls: { ca: cert, servername: 'mx.example' } }
  await webhook(trusting).probe()
  await t.rejects(webhook({ url }).probe(), /self-signed/)
  for (const [options, code] of [[trusting, 250] as const, [{ url }, 451] as const]) {
    const { c, errors } = await front(t, options)
    for (let i = 0; i < 2; i++) {
      await begin(c)
      c.write(STUFFED)
      await c.expect(code)
    }
    t.equal(requests, 2)
    if (code === 451) t.match(errors[0], { cause: { code: 'ERR_CONNECTION_LOST', message: /reached.*self-signed/ } })
  }
})

t.test('an agent of a program', async t => {
  const service = await startService(t)
  const agent = new Agent({ keepAlive: false })
  const { c } = await front(t, { url: service.url, agent })
  for (let i = 0; i < 2; i++) {
    await begin(c)
    c.write(STUFFED)
    await c.expect(250)
  }
  t.equal(service.connections, 2)
})

t.test('probe: connects, and sends nothing', async t => {
  const service = await startService(t)
  const delivery = webhook({ url: `${service.url}?secret=x` })
  await delivery.probe()
  await until(() => service.connections === 1)
  t.strictSame(service.begun, [])
  for (const url of ['http://[::1]:1/', 'http://127.0.0.99/', 'https://localhost/']) {
    await t.rejects(webhook({ url }).probe(), { code: /^E/ } as never, url)
  }
  t.equal(delivery.place, service.url, 'without the query, which may be secret')
  await t.rejects(webhook({ url: 'http://127.0.0.1:1/' }).probe(), { code: 'ECONNREFUSED' })

  const mute = createTcpServer(() => {}).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  t.teardown(() => mute.close())
  const clock = new FakeClock()
  const url = `https://127.0.0.1:${(mute.address() as AddressInfo).port}/`
  const probed = webhook({ url, clock }).probe()
  const [socket] = (await once(mute, 'connection')) as [{ destroy(): void }]
  t.teardown(() => socket.destroy())
  const late = t.rejects(probed, { code: 'ERR_TIMEOUT' })
  await clock.tick(10_000)
  await late
})

t.test('options are checked', async t => {
  const url = 'https://app.example/mail'
  const wrong: [unknown, RegExp][] = [
    [{}, /url is an address such as/],
    [{ url: 'app.example' }, /url is an address such as/],
    [{ url: 'ftp://app.example/' }, /url begins with https: or http:/],
    [{ url: 'https://user:word@app.example/' }, /url has a user/],
    [{ url, form: 'json' }, /form is 'multipart' or 'raw', not "json"/],
    [{ url, secret: '' }, /secret is a text/],
    [{ url, secret: 7 }, /secret is a text/],
    [{ url, headers: { 'a b': 'c' } }, /headers: "a b"/],
    [{ url, headers: { a: 'c\r\nd: e' } }, /headers: "a"/],
    [{ url, headers: { 'Content-Length': '1' } }, /Content-Length is set by the webhook/],
    [{ url, header: {} }, /header is a function/],
    [{ url, tls: 7 }, /tls is an object/],
    [{ url, tls: { ca: 'ca.pem' } }, /tls\.ca is PEM text, not "ca\.pem"; for a file, give readFileSync/],
    [{ url, agent: {} }, /agent is an http\.Agent/],
    [{ url, agent: new Agent(), tls: { ca: 'x' } }, /tls is of our own agent/],
    [{ url, timeouts: { answer: 0 } }, /timeouts\.answer is a number above 0/],
    [{ url, clock: {} }, /clock is an object/],
    [{ url, Secret: 'x' }, /did you mean secret/],
  ]
  for (const [options, message] of wrong) {
    t.throws(() => webhook(options as WebhookOptions), { code: 'ERR_OPTION', message }, String(message))
  }
})

t.test('an answer that goes on and on is not waited for', async t => {
  for (const isLong of [true, false]) {
    const service = await startService(t, async (_request, response, whole) => {
      await whole
      response.writeHead(200)
      response.write('x'.repeat(isLong ? 300_000 : 10))
    })
    const clock = new FakeClock()
    const { c } = await front(t, { url: service.url, clock })
    await begin(c)
    c.write(STUFFED)
    await c.expect(250)
    const { socket } = service.begun[0]!
    if (!isLong) {
      await settle()
      await clock.tick(60_000)
    }
    await until(() => socket.destroyed)
    t.equal(clock.timers, 0)
  }
})

t.test('the service of examples/ takes a message once, and only with the right signature', async t => {
  const service = await startExample(t, 'webhook-service', { WEBHOOK_SECRET: 'hush' })
  const url = `http://127.0.0.1:${service.port}/`
  const send = async (secret: string | undefined, text: string, code: number): Promise<void> => {
    const { c } = await front(t, { url, form: 'raw', ...(secret === undefined ? {} : { secret }) })
    await begin(c)
    c.write(`${text}.\r\n`)
    await c.expect(code)
  }
  await send('hush', MAIL, 250)
  await send('hush', MAIL, 250)
  await send('another', 'x\r\n', 451)
  await send(undefined, 'x\r\n', 451)
  const { c, handler } = await front(t, { url, form: 'raw', secret: 'hush' })
  await begin(c)
  // More than sockets hold: the service has begun to read it.
  await new Promise(resolve => handler.write(`${MAIL}${`${'x'.repeat(76)}\r\n`.repeat(200_000)}`, resolve))
  handler.end()
  await service.printed(/cut short/)
  t.equal(service.output.match(/octets from/g)?.length, 1)
  t.match(service.output, /35 octets from <anna@client\.example> for bob@example\.org/)
  t.equal(await service.stop(), 0)
})

t.test('its own agent keeps 10 connections for 4 s', t => {
  for (const url of ['http://a.example/', 'https://a.example/']) {
    t.match(resolveWebhook({ url }).agent, { keepAlive: true, maxFreeSockets: 10, options: { timeout: 4000 } }, url)
  }
  t.end()
})
