import { createSecureContext } from 'node:tls'
import { hostname } from 'node:os'
import t from 'tap'
import { plain } from '../lib/smtp/auth/password.ts'
import { systemClock } from '../lib/time/clock.ts'
import { resolveOptions, type SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { reply } from '../lib/words/reply.ts'
import { sessionOf, SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { begin, quit } from './fixtures/dialogue.ts'

const context = createSecureContext

t.test('the defaults', t => {
  const { limits, timeouts, hooks, extensions, base: _, ...rest } = resolveOptions({})
  t.same(limits, {
    commandLine: 2048,
    authLine: 12_288,
    recipients: 1000,
    header: 2 ** 20,
    errors: 20,
    softErrors: 10,
    junkCommands: 100,
    overshoot: 100,
    deferrals: 1000,
    authFailures: 3,
    transactions: Infinity,
  })
  t.same(timeouts, {
    greeting: 60_000,
    idle: 300_000,
    command: 300_000,
    data: 180_000,
    tls: 30_000,
    hook: 240_000,
    verdict: 540_000,
    linger: 10_000,
  })
  t.same(rest, {
    name: hostname(),
    greeting: reply(220, `${hostname()} ESMTP`),
    heloReply: reply(250, hostname()),
    goodbye: reply(221, '2.0.0', `${hostname()} closing connection`),

    size: 50 * 2 ** 20,
    oversize: 'drain',
    lmtp: false,
    strictness: 'interoperable',
    bareNewline: 'normalize',
    unlawfulPipelining: 'refuse',
    earlyTalkers: 'allow',
    tls: null,
    auth: null,
    proxies: null,
    minDataRate: 500,
    parameters: { mail: new Map(), rcpt: new Map(), keywords: [] },
    policies: [],
    delivery: null,
    filters: [],
    clock: systemClock,
  })
  t.same(
    [...extensions],
    `PIPELINING SIZE 8BITMIME SMTPUTF8 ENHANCEDSTATUSCODES STARTTLS AUTH CHUNKING BINARYMIME LIMITS XCLIENT XFORWARD`.split(
      ' ',
    ),
  )
  t.ok(
    Object.values(hooks).every(each => each.length === 1 && each[0] === null),
    'the handler alone is asked',
  )
  const auth = resolveOptions({ auth: {} }).auth
  t.same([[...auth!.mechanisms.keys()], auth!.insecure, auth!.required], [['PLAIN', 'LOGIN'], false, false])
  t.same(resolveOptions({ tls: { context } }).tls?.required, false)
  t.equal(resolveOptions({ lmtp: true, name: 'mx' }).greeting.toString(), '220 mx LMTP\r\n')
  t.end()
})

t.test('what is left out, and what is undefined, is the default', t => {
  const { limits, timeouts } = resolveOptions({
    limits: { recipients: 5, header: undefined as never },
    timeouts: { idle: 1, data: undefined as never },
  })
  t.match(limits, { recipients: 5, header: 2 ** 20, errors: 20 })
  t.match(timeouts, { idle: 1, data: 180_000, command: 300_000 })
  t.equal(resolveOptions({ extensions: { CHUNKING: false } }).extensions.has('BINARYMIME'), false)
  t.equal(resolveOptions({ extensions: { '8BITMIME': false } }).extensions.has('SMTPUTF8'), false)
  t.end()
})

t.test('strictness sets bareNewline, which overrides it', t => {
  t.equal(resolveOptions({ strictness: 'strict' }).bareNewline, 'reject')
  t.equal(resolveOptions({ strictness: 'interoperable' }).bareNewline, 'normalize')
  t.equal(resolveOptions({ strictness: 'lenient' }).bareNewline, 'normalize')
  t.equal(resolveOptions({ strictness: 'strict', bareNewline: 'normalize' }).bareNewline, 'normalize')
  t.equal(resolveOptions({ bareNewline: 'reject' }).bareNewline, 'reject')
  t.end()
})

t.test('wrong options', t => {
  const mechanism = plain()
  const table: [unknown, RegExp][] = [
    [{ name: '' }, /^name /],
    [{ name: 'a b' }, /^name /],
    [{ name: 7 }, /^name /],
    [{ name: 'mx\r\n250 x' }, /^name /],
    [{ name: 'x'.repeat(256) }, /^name /],
    [{ banner: 'a\nb' }, /banner/],
    [{ banner: 'x'.repeat(600) }, /banner/],
    [{ banner: 7 }, /^banner/],
    [{ size: -1 }, /^size /],
    [{ size: NaN }, /^size /],
    [{ size: '10' }, /^size /],
    [{ oversize: 'no' }, /^oversize is one of drain, close, not "no"/],
    [{ strictness: true }, /^strictness is one of strict, interoperable, lenient, not true/],
    [{ addresses: 'lenient' }, /^addresses/],
    [{ bareNewline: 'x' }, /^bareNewline /],
    [{ unlawfulPipelining: 'x' }, /^unlawfulPipelining /],
    [{ earlyTalkers: 'x' }, /^earlyTalkers /],
    [{ lmtp: 'yes' }, /^lmtp /],
    [{ minDataRate: -1 }, /^minDataRate /],
    [{ minDataRate: '500' }, /^minDataRate /],
    [{ limits: { recipient: 5 } }, /^limits\.recipient: there is no such option/],
    [{ limits: { recipients: 0 } }, /^limits\.recipients /],
    [{ limits: { recipients: '5' } }, /^limits\.recipients /],
    [{ limits: { toString: 5 } }, /^limits\.toString/],
    [{ limits: JSON.parse('{"__proto__":1}') }, /^limits\.__proto__/],
    [{ timeouts: { idle: -1 } }, /^timeouts\.idle /],
    [{ timeouts: { idle: NaN } }, /^timeouts\.idle /],
    [{ timeouts: { dataa: 1 } }, /^timeouts\.dataa/],
    [{ extensions: { NOSUCH: true } }, /^extensions\.NOSUCH/],
    [{ extensions: { DSN: 'yes' } }, /^extensions\.DSN /],
    [{ auth: { mechanisms: [] } }, /^auth\.mechanisms /],
    [{ auth: { mechanisms: plain() } }, /^auth\.mechanisms /],
    [{ auth: { mechanisms: [null] } }, /^auth\.mechanisms\[0\] /],
    [{ auth: { mechanisms: [{ ...mechanism, name: 'A B' }] } }, /^auth\.mechanisms /],
    [{ auth: { mechanisms: [mechanism, mechanism] } }, /^auth\.mechanisms has one twice/],
    [{ auth: { insecure: 'yes' } }, /^auth\.insecure /],
    [{ auth: { required: 1 } }, /^auth\.required /],
    [{ tls: { required: 'yes' } }, /^tls\.required /],
    [{ tls: { context: {} } }, /^tls\.context /],
    [{ tls: {} }, /^tls has no certificate/],
    [{ tls: { required: true, ca: '-----BEGIN x' } }, /^tls has no certificate/],
    [{ tls: { key: '-----BEGIN no key', cert: '-----BEGIN no certificate' } }, /^tls: /],
    [{ xclient: ['10.0.0.1/33'] }, /10\.0\.0\.1\/33/],
    [{ policies: {} }, /^policies /],
    [{ policies: [null] }, /^policies\[0\] /],
    [{ policies: [{ onRcptTo: true }] }, /^policies\[0\]\.onRcptTo is a function/],
    [{ onDatta() {} }, /^onDatta: there is no such option; did you mean onData\?/],
    [{ handleMail() {} }, /^handleMail: there is no such option/],
    [{ policies: [{ onMessage() {} }] }, /^policies\[0\] has onMessage/],
    [{ delivery: {} }, /^delivery is an object with onMessage/],
    [{ delivery: { onMessage() {}, offer: 1 } }, /^delivery\.offer is a function/],
    [{ delivery: { onMessage() {} }, onMessage() {} }, /^delivery and onMessage both/],
    [{ parameters: { mail: { 'x-foo': String } } }, /^parameters\.mail\.x-foo: /],
    [{ parameters: { mail: { SIZE: String } } }, /^parameters\.mail\.SIZE: /],
    [{ parameters: { rcpt: { 'X-FOO': 1 } } }, /^parameters\.rcpt\.X-FOO is a function/],
    [{ onData: 'yes' }, /^onData is a function/],
    [{ filters: [{}] }, /^filters\[0\] /],
    [{ filters: () => {} }, /^filters /],
  ]
  for (const [options, message] of table) {
    t.throws(() => new SmtpHandler(options as SmtpHandlerOptions), { code: 'ERR_OPTION', message })
  }
  t.end()
})

t.test('resolved once for each object, and frozen', t => {
  const policies = [{ onHelo() {} }]
  const filters = [() => process.stdout]
  const options: SmtpHandlerOptions = { policies, filters, tls: { context }, auth: {} }
  const first = sessionOf(new SmtpHandler(options)).options
  policies.push({ onHelo() {} })
  filters.pop()
  const second = sessionOf(new SmtpHandler(options)).options
  t.equal(first, second)
  t.equal(second.hooks.onHelo.length, 2)
  t.equal(second.filters.length, 1)
  const parts = [
    first,
    first.limits,
    first.timeouts,
    first.hooks,
    first.hooks.onHelo,
    first.filters,
    first.tls,
    first.auth,
  ]
  for (const part of parts) t.ok(Object.isFrozen(part))
  t.notOk(Object.isFrozen(options), 'what was given is left alone')
  t.end()
})

t.test('two handlers share no settings', async t => {
  const one = new SmtpHandler({ name: 'one.example', size: 1000, limits: { recipients: 1 } })
  const two = new SmtpHandler({ name: 'two.example', extensions: { SIZE: false } })
  const [a, b] = [await begin(one), await begin(two)]
  t.match(a.replies[1]?.text, /^250-one\.example\n[^]*SIZE 1000\n[^]*RCPTMAX=1$/)
  t.match(b.replies[1]?.text, /^250-two\.example\n[^]*RCPTMAX=1000$/)
  t.notMatch(b.replies[1]?.text, /SIZE/)
  await quit(a)
  await quit(b)
})

t.test('a time that no timer of Node can have', async t => {
  for (const never of [Infinity, 2 ** 40]) {
    const handler = new SmtpHandler({
      timeouts: { idle: never, greeting: never, command: never, hook: never, verdict: never },
      onHelo: () => new Promise(resolve => setTimeout(resolve, 20)),
    })
    const c = await begin(handler)
    await quit(c)
    t.pass(`${never} is not at once`)
  }
})
