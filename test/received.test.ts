import fc from 'fast-check'
import t from 'tap'
import { addressLiteral, type Received, receivedField } from '../lib/protocol/header/received.ts'
import { character } from './fixtures/character.ts'

const plain: Received = {
  helo: 'mail.example.org',
  address: '192.0.2.1',
  name: 'mx1.example.org',
  by: 'mx.example.net',
  protocol: 'ESMTP',
  id: 'a1b2.3',
  date: new Date('2026-03-05T09:08:07Z'),
}
const stamp = ';\r\n Thu, 05 Mar 2026 09:08:07 +0000\r\n'
const by = '\r\n by mx.example.net with ESMTP id a1b2.3'
const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.example`

t.test('the whole field', async t => {
  const table: [string, Partial<Received>, string][] = [
    ['plain', {}, `Received: from mail.example.org (mx1.example.org [192.0.2.1])${by}${stamp}`],
    [
      'everything',
      {
        protocol: 'ESMTPSA',
        recipients: ['user@example.net'],
        tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
      },
      'Received: from mail.example.org (mx1.example.org [192.0.2.1])\r\n' +
        ' by mx.example.net with ESMTPSA (TLSv1.3) id a1b2.3\r\n' +
        ` for <user@example.net> tls TLS_AES_256_GCM_SHA384${stamp}`,
    ],
    ['no name', { name: undefined }, `Received: from mail.example.org ([192.0.2.1])${by}${stamp}`],
    ['no address', { address: undefined }, `Received: from mail.example.org${by}${stamp}`],
    ['a path as address', { address: '/run/x)' }, `Received: from mail.example.org${by}${stamp}`],
    ['a name that is none', { name: 'a(b' }, `Received: from mail.example.org ([192.0.2.1])${by}${stamp}`],
    ['helo literal', { helo: '[192.0.2.1]' }, `Received: from [192.0.2.1] (mx1.example.org [192.0.2.1])${by}${stamp}`],
    [
      'IPv6',
      { helo: '[IPv6:2001:db8::1]', address: '2001:DB8:0::1', name: undefined },
      `Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])${by}${stamp}`,
    ],
    [
      'helo that is no name',
      { helo: 'my_pc (x)\r\nTo: ü' },
      `Received: from [192.0.2.1] (mx1.example.org [192.0.2.1])\r\n (helo=my_pc??x???To:??)${by}${stamp}`,
    ],
    ['no helo', { helo: '', name: undefined }, `Received: from [192.0.2.1] ([192.0.2.1]) (helo=)${by}${stamp}`],
    ['neither', { helo: '\\', address: undefined }, `Received: from unknown (helo=?)${by}${stamp}`],
    ['long words', { helo: long, name: long }, `Received: from\r\n ${long}\r\n (${long}\r\n [192.0.2.1])${by}${stamp}`],
    [
      'TLS without more',
      { tls: { version: 'TLSv1.2' } },
      `Received: from mail.example.org (mx1.example.org [192.0.2.1])\r\n by mx.example.net with ESMTP (TLSv1.2) id a1b2.3${stamp}`,
    ],
  ]
  for (const [name, change, field] of table) t.equal(receivedField({ ...plain, ...change }), field, name)
})

t.test('for whom', async t => {
  const table: [readonly string[], string | null, string?][] = [
    [[], null],
    [['a@example.net', 'b@example.net'], null],
    [['"a b\\"c>"@example.net'], '"a b\\"c>"@example.net'],
    [['a@[192.0.2.9]'], 'a@[192.0.2.9]'],
    [['a@[IPv6:::1]'], 'a@[IPv6:::1]'],
    [[`${'a'.repeat(71)}@example.net`], `${'a'.repeat(71)}@example.net`],
    [[`${'a'.repeat(255)}@example.net`], `${'a'.repeat(255)}@example.net`],
    [[`${'a'.repeat(256)}@example.net`], null],
    [['postmaster'], null],
    [['@example.net'], null],
    [['a@'], null],
    [['a b@example.net'], null],
    [['a>@example.net'], null],
    [['"a\r\nb"@example.net'], null],
    [['"a"b"@example.net'], null],
    [['a@example.net\r\nX: y'], null],
    [['ü@example.net'], null],
    [['ü@bücher.example'], 'ü@bücher.example', 'UTF8SMTP'],
    [['\u0085@example.net'], null, 'UTF8SMTP'],
    [['a\u2028@example.net'], null, 'UTF8SMTP'],
    [['a\u202e@example.net'], null, 'UTF8SMTP'],
    [['a..b@example.net'], null],
    [['\ud800@example.net'], null, 'UTF8SMTP'],
  ]
  for (const [recipients, mailbox, protocol = 'ESMTP'] of table) {
    const field = receivedField({ ...plain, protocol, recipients })
    t.equal(/ for\s+<(.*)>;/.exec(field)?.[1] ?? null, mailbox, Buffer.from(recipients.join()).toString('base64'))
  }
})

t.test('what the server itself gets wrong', async t => {
  const table: Partial<Received>[] = [
    { by: '' },
    { by: 'a b' },
    { by: 'mx.example.net\r\n' },
    { by: '-.example' },
    { by: 'bücher.example' },
    { protocol: '' },
    { protocol: 'ESMTP id' },
    { protocol: 'X'.repeat(65) },
    { by: 'bücher.example', protocol: 'NO-UTF8' },
    { id: '' },
    { id: 'a b' },
    { id: 'a;' },
    { id: 'a\n' },
    { id: 'a'.repeat(256) },
    { date: '2026-03-05T09:08:07Z' as unknown as Date },
    { date: new Date(Number.NaN) },
  ]
  for (const change of table) {
    const message = new RegExp(`^${Object.keys(change)[0]}: `)
    t.throws(() => receivedField({ ...plain, ...change }), { code: 'ERR_OPTION', message }, JSON.stringify(change))
  }
})

t.test('the shortest and the longest words', async t => {
  const field = (change: Partial<Received>): string => receivedField({ ...plain, ...change }).replaceAll('\r\n', '')
  t.match(field({ protocol: 'X' }), ' with X id ')
  t.match(field({ protocol: 'X'.repeat(64) }), ` with ${'X'.repeat(64)} id `)
  t.match(field({ id: 'a'.repeat(255) }), ` id ${'a'.repeat(255)};`)
  const cipher = (cipher: string) => /(?: tls [^;]*)?;/.exec(field({ tls: { version: 'TLSv1.3', cipher } }))![0]
  t.equal(cipher('TLS_A'), ' tls TLS_A;')
  t.equal(cipher(`TLS_${'A'.repeat(80)}`), ` tls TLS_${'A'.repeat(80)};`)
  for (const wrong of ['TLS_', `TLS_${'A'.repeat(81)}`, 'XTLS_A', 'TLS_A-B']) t.equal(cipher(wrong), ';', wrong)
  t.match(field({ helo: '_'.repeat(100) }), ` (helo=${'_'.repeat(64)})`)
})

t.test('address literals', async t => {
  t.equal(addressLiteral('192.0.2.1'), '[192.0.2.1]')
  t.equal(addressLiteral('::ffff:192.0.2.1'), '[192.0.2.1]')
  t.equal(addressLiteral('FE80:0::1%eth0'), '[IPv6:fe80::1]')
  for (const wrong of ['', 'localhost', '192.0.2.01', '[::1]']) {
    t.throws(() => addressLiteral(wrong), { code: 'ERR_OPTION' }, wrong)
  }
})

t.test('nothing from the wire gets out of its place', async () => {
  const nasty = fc.oneof(
    fc.string({
      unit: fc.constantFrom(
        'a',
        '.',
        '-',
        '@',
        ' ',
        '(',
        ')',
        '\\',
        '"',
        '<',
        '>',
        ';',
        '[',
        ']',
        '\r',
        '\n',
        '\0',
        'ü',
      ),
    }),
    fc.string({ unit: character, maxLength: 300 }),
  )
  const mailbox = fc.tuple(nasty, nasty).map(parts => parts.join('@'))
  const bare =
    /^Received: from [^\s();]+(?: \([^()\\;]*\))?(?: \(helo=[!-'*-[\]-~]{0,64}\))? by mx\.example\.net with ESMTP(?: \([^()\\;]+\))? id a1b2\.3(?: for <\P{C}+>)?(?: tls TLS_\w+)?; Thu, 05 Mar 2026 09:08:07 \+0000$/u
  fc.assert(
    fc.property(nasty, nasty, nasty, mailbox, nasty, nasty, (helo, address, name, recipient, version, cipher) => {
      const field = receivedField({ ...plain, helo, address, name, recipients: [recipient], tls: { version, cipher } })
      const lines = field.split('\r\n')
      const folded = lines.slice(1, -1).every(line => /^ \S/.test(line))
      return folded && lines.at(-1) === '' && /^[ -~]*$/.test(lines.join('')) && bare.test(lines.slice(0, -1).join(''))
    }),
    { numRuns: 2000 },
  )
})

t.test('lines are at most 78 columns where words allow', async () => {
  const name = fc
    .array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 5 })
    .map(labels => labels.join('.'))
  fc.assert(
    fc.property(name, name, name, (helo, client, by) => {
      const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' }
      const field = receivedField({ ...plain, helo, name: client, by, recipients: [`user@${by}`], tls })
      return field.split('\r\n').every(line => line.length <= 78)
    }),
  )
})
