// What EHLO offers before an upstream is known and after; and routes to several upstreams.

import t from 'tap'
import { narrowOffer } from '../lib/deliveries/relay/offer.ts'
import { Routes } from '../lib/deliveries/relay/routes.ts'
import type { ExtensionName, Offer } from '../lib/index.ts'
import { parseForwardPath } from '../lib/protocol/addresses/path.ts'
import { parseOffer } from '../lib/protocol/replies/server-offer.ts'
import { relay } from '../lib/relay.ts'
import { settle } from './fixtures/fake-clock.ts'
import { frontOf } from './fixtures/front.ts'
import { BY_BDAT, BY_DATA, front, MAIL, offers, sendMail, startUpstream } from './fixtures/upstream.ts'

const known = (...lines: readonly string[]): { offer: ReturnType<typeof parseOffer>; needs8bit: boolean } => ({
  offer: parseOffer(['mx', ...lines]),
  needs8bit: false,
})
const UNKNOWN = { offer: null, needs8bit: false }
const FULL: Offer = {
  size: 1000,
  extensions: new Set<ExtensionName>([
    'PIPELINING',
    'SIZE',
    '8BITMIME',
    'SMTPUTF8',
    'CHUNKING',
    'BINARYMIME',
    'DSN',
    'AUTH',
  ]),
}
const OWN = ['PIPELINING', 'SIZE', '8BITMIME', 'CHUNKING', 'AUTH']

t.test('narrowOffer', t => {
  const names = (upstreams: Parameters<typeof narrowOffer>[1]): string[] => [...narrowOffer(FULL, upstreams).extensions]
  t.strictSame(names([UNKNOWN]), OWN, 'nothing is promised for an upstream that nobody knows')
  t.strictSame(names([known('SMTPUTF8', '8BITMIME', 'CHUNKING', 'BINARYMIME', 'DSN')]), [...FULL.extensions])
  t.strictSame(names([known('BINARYMIME')]), OWN, 'BINARYMIME without CHUNKING cannot be sent')
  t.strictSame(names([known('DSN'), known('SMTPUTF8')]), OWN, 'only what all have')
  t.strictSame(names([{ ...known('SMTPUTF8'), needs8bit: true }]), ['PIPELINING', 'SIZE', 'CHUNKING', 'AUTH'])
  const size = (own: number, ...upstreams: readonly string[]): number =>
    narrowOffer(
      { ...FULL, size: own },
      upstreams.map(each => known(`SIZE ${each}`)),
    ).size
  t.equal(size(1000, '500'), 500)
  t.equal(size(1000, '2000'), 1000)
  t.equal(size(0, '2000'), 2000)
  t.equal(size(0, '0'), 0)
  t.equal(size(1000, '500', '700'), 700, 'the other one refuses by itself')
  t.end()
})

t.test('the first EHLO asks the upstream, the next one tells', async t => {
  const upstream = await startUpstream(t, { EHLO: offers('SIZE 12345', '8BITMIME', 'SMTPUTF8') })
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port, probes: true })
  t.notMatch(c.transcript, /SMTPUTF8/)
  while (upstream.verbs.length < 2) await settle(1)
  t.strictSame(upstream.verbs, ['EHLO', 'QUIT'])
  const { text } = await c.command('EHLO client.example', 250)
  t.match(text, /SIZE 12345\n/)
  t.match(text, /SMTPUTF8/)
  t.notMatch(text, /BINARYMIME/)
  t.equal(upstream.connections.length, 1)
  await c.command('MAIL FROM:<a@client.example> BODY=BINARYMIME', /^555 /)
  await c.command('MAIL FROM:<a@client.example> SIZE=12346', 552)
})

t.test('routes: by mailbox, domain, domain above, the rest', t => {
  const routes = new Routes([
    ['example.org', 'domain'],
    ['Anna@example.org', 'anna'],
    ['.example.org', 'below'],
    ['.a.example.org', 'deeper'],
    ['xn--bcher-kva.example', 'idn'],
    ['*', 'rest'],
  ])
  const find = (address: string, table: Routes<string> = routes): string | null => {
    const parsed = parseForwardPath(`TO:<${address}>`, { utf8: true, strictness: 'lenient' })
    if (!parsed.ok) throw new Error(address)
    return table.find(parsed.mailbox)
  }
  for (const [address, to] of [
    ['anyone@EXAMPLE.org', 'domain'],
    ['Anna@example.ORG', 'anna'],
    ['x@b.example.org', 'below'],
    ['x@b.a.example.org', 'deeper'],
    ['x@bücher.example', 'idn'],
    ['x@notexample.org', 'rest'],
    ['postmaster', 'rest'],
  ] as const) {
    t.equal(find(address), to, address)
  }
  const narrow = new Routes([['example.org', 'domain']])
  t.equal(find('x@example.com', narrow), null)
  t.equal(find('postmaster', narrow), 'domain')
  for (const name of ['', '@', 'a b', 'x@', '..a'])
    t.throws(() => new Routes([[name, 1]]), { code: 'ERR_OPTION' }, name)
  t.throws(() => new Routes([['a.example', 1], ['A.example', 2]]), { code: 'ERR_OPTION' }) // prettier-ignore
  t.end()
})

t.test('a transaction goes to one upstream, and never to a wrong one', async t => {
  const one = await startUpstream(t, BY_DATA)
  const two = await startUpstream(t, {
    ...BY_BDAT,
    RCPT: line => (line.includes('<x@') ? '550 5.1.1 No\r\n' : '250 OK\r\n'),
  })
  const { c } = await front(t, {
    routes: {
      'one.example': { host: '127.0.0.1', port: one.port },
      'also.example': { host: '127.0.0.1', port: one.port },
      'two.example': { host: '127.0.0.1', port: two.port },
    },
  })
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@elsewhere.example>', /^550 5\.7\.1 /)
  await c.command('RCPT TO:<x@two.example>', 550)
  await c.command('RCPT TO:<b@one.example>', 250)
  await c.command('RCPT TO:<b@two.example>', /^452 4\.5\.3 /)
  await c.command('RCPT TO:<b@also.example>', 250)
  await c.command('DATA', 354)
  c.write(`${MAIL}.\r\n`)
  await c.expect(250)
  t.match(await sendMail(c, ['b@two.example']), { 3: /^250 / })
  t.strictSame([one.messages.length, two.messages.length], [1, 1])
  t.strictSame(
    one.connections[0]!.lines.filter(line => line.startsWith('RCPT')),
    ['RCPT TO:<b@one.example>', 'RCPT TO:<b@also.example>'],
  )
})

t.test("recipients: 'one'", async t => {
  const upstream = await startUpstream(t)
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port, recipients: 'one' })
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('RCPT TO:<c@example.org>', /^452 4\.5\.3 /)
  await c.command('DATA', 354)
})

t.test('defaults of routes', async t => {
  const upstream = await startUpstream(t)
  const delivery = relay({
    name: 'shared.example',
    tls: { mode: 'never' },
    probes: false,
    routes: { 'example.org': { port: upstream.port, host: '127.0.0.1' } },
  })
  const { c } = await frontOf(t, delivery)
  t.match(await sendMail(c), { 3: /^250 / })
  t.equal(upstream.connections[0]!.lines[0], 'EHLO shared.example')
  for (const routes of [
    {},
    { 'a.example': {} },
    { 'a.example': { host: 'x', when: 'mail' } },
    { 'a b': { host: 'x' } },
  ]) {
    t.throws(() => relay({ routes }), { code: 'ERR_OPTION' }, JSON.stringify(routes))
  }
  t.throws(() => relay({ when: 'mail', host: 'a', routes: { 'b.example': { host: 'b' } } }), { code: 'ERR_OPTION' })
  t.end()
})
