import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import t from 'tap'
import type { ScramOptions } from '../lib/smtp/auth/scram.ts'
import { scramSha256 } from '../lib/smtp/auth/scram.ts'
import { scramSecret } from '../lib/smtp/auth/scram-secret.ts'
import type { ScramSecret } from '../lib/smtp/auth/scram-secret.ts'
import { readClientFinal, readClientFirst } from '../lib/smtp/auth/scram-messages.ts'
import { MALFORMED, script } from './fixtures/exchange.ts'
import type { Answer } from './fixtures/exchange.ts'

// [RFC 7677 §3]
const SALT = 'W22ZaJ0SNY7soEsUEjb6gQ=='
const NONCE = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const FIRST = 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO'
const FINAL = `c=biws,r=${NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`
const SIGNATURE = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

const secret: ScramSecret = await scramSecret('pencil', { salt: Buffer.from(SALT, 'base64'), iterations: 4096 })
const lookup = (user: string): ScramSecret | null => (['user', 'a,b=c', 'IX'].includes(user) ? secret : null)
const nonce = (): string => '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const make = (options: Partial<ScramOptions> = {}): ReturnType<typeof scramSha256> =>
  scramSha256({ lookup, iterations: 4096, ...options })

/** An honest client: its first message, and the answer to the server's. `change` spoils the final message. */
function client(
  bare: string,
  password: string,
  header = 'n,,',
  change = (text: string): string => text,
): [string, Answer] {
  const answer = (serverFirst: string): string => {
    const [, nonce = '', salt = '', i = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? []
    const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(i), 32, 'sha256')
    const key = createHmac('sha256', salted).update('Client Key').digest()
    const stored = createHash('sha256').update(key).digest()
    const final = `c=${Buffer.from(header).toString('base64')},r=${nonce}`
    const proof = createHmac('sha256', stored).update(`${bare},${serverFirst},${final}`).digest()
    return change(`${final},p=${Buffer.from(proof.map((octet, n) => octet ^ (key[n] ?? 0))).toString('base64')}`)
  }
  return [header + bare, answer]
}

t.test('the exchange of RFC 7677 §3', async t => {
  for (const early of [true, false]) {
    const exchange = early ? script(FIRST, [FINAL, '']) : script(null, [FIRST, FINAL, ''])
    t.same(await make({ nonce }).authenticate(exchange), { user: 'user', authzid: '' })
    t.same(exchange.challenges.slice(-2), [`r=${NONCE},s=${SALT},i=4096`, SIGNATURE])
    t.equal(exchange.challenges.length, early ? 2 : 3)
    t.same(exchange.seen, [{ mechanism: 'SCRAM-SHA-256', user: 'user', authzid: '', verified: true }])
  }
})

t.test('honest clients, with a nonce of their own each time', async t => {
  const table: [string, string, object][] = [
    ['n=user,r=abc', 'n,,', { user: 'user', authzid: '' }],
    ['n=user,r=abc', 'y,,', { user: 'user', authzid: '' }],
    ['n=user,r=abc', 'n,a=user,', { user: 'user', authzid: 'user' }],
    ['n=a=2Cb=3Dc,r=abc', 'n,,', { user: 'a,b=c', authzid: '' }],
    ['n=I\u00adX,r=abc,x=ext,y=a=b', 'n,,', { user: 'IX', authzid: '' }],
  ]
  const nonces = new Set<string | undefined>()
  for (const [bare, header, identity] of table) {
    const [first, final] = client(bare, 'pencil', header)
    const exchange = script(first, [final, ''])
    t.same(await make().authenticate(exchange), identity, header + bare)
    nonces.add(exchange.challenges[0])
  }
  t.equal(nonces.size, table.length)
})

t.test('what is refused, and without the signature', async t => {
  const spoil = (from: string | RegExp, to: string) => (text: string) => text.replace(from, to)
  const flipped = (text: string): string => text.replace(/.(?==$)/, last => (last === 'A' ? 'E' : 'A'))
  const table: [string, [string, Answer]][] = [
    ['wrong password', client('n=user,r=abc', 'pencils')],
    ['unknown user', client('n=nobody,r=abc', 'pencil')],
    ['user that cannot be prepared', client('n=us\x07er,r=abc', 'pencil')],
    ['another to act as', client('n=user,r=abc', 'pencil', 'n,a=root,')],
    ['binding of another header', client('n=user,r=abc', 'pencil', 'n,,', spoil('biws', 'eSws'))],
    ['nonce of another', client('n=user,r=abc', 'pencil', 'n,,', spoil('r=abc', 'r=abd'))],
    ['nonce cut', client('n=user,r=abc', 'pencil', 'n,,', spoil(/r=abc[^,]*/, 'r=abc'))],
    ['nonce prolonged', client('n=user,r=abc', 'pencil', 'n,,', spoil(/,p=/, 'x,p='))],
    ['extension not proved', client('n=user,r=abc', 'pencil', 'n,,', spoil(/,p=/, ',x=y,p='))],
    ['proof empty', client('n=user,r=abc', 'pencil', 'n,,', spoil(/p=.*/, 'p='))],
    ['proof cut', client('n=user,r=abc', 'pencil', 'n,,', spoil(/p=.*/, 'p=AAAA'))],
    ['proof with something behind', client('n=user,r=abc', 'pencil', 'n,,', text => text.replace(/=$/, 'A'))],
    ['proof spoilt', client('n=user,r=abc', 'pencil', 'n,,', flipped)],
  ]
  for (const [name, [first, final]] of table) {
    const exchange = script(first, [final, ''])
    t.equal(await make().authenticate(exchange), null, name)
    t.same(exchange.seen, [], name)
    t.notMatch(exchange.challenges.join('\n'), /v=/, name)
  }
  const exchange = script(FIRST, [FINAL, ''], false)
  t.equal(await make({ nonce }).authenticate(exchange), null, 'what the program refuses')
  t.notMatch(exchange.challenges.join('\n'), /v=/)
  t.ok(await make({ allowAuthzid: true }).authenticate(script(...honest('n,a=root,'))), 'acting as another, allowed')
})

const honest = (header: string): [string, Answer[]] => {
  const [first, final] = client('n=user,r=abc', 'pencil', header)
  return [first, [final, '']]
}

t.test('an unknown user looks like a known one', async t => {
  const salt = async (user: string, mechanism = make()): Promise<string> => {
    const exchange = script(`n,,n=${user},r=abc`, [FINAL])
    await mechanism.authenticate(exchange)
    return (exchange.challenges[0] ?? '').replace(/^r=[^,]+,/, '')
  }
  const mechanism = make()
  const known = await salt('user', mechanism)
  const unknown = await salt('nobody', mechanism)
  t.match(unknown, /^s=[\w+/]{22}==,i=4096$/)
  t.equal(unknown.length, known.length)
  t.equal(unknown, await salt('nobody', mechanism), 'the same salt each time')
  t.not(unknown, await salt('nobody2', mechanism), 'and another for another')
  t.not(unknown, await salt('nobody', make()), 'which cannot be foretold')
  const decoyKey = 'sixteen letters!'
  t.equal(
    await salt('nobody', make({ decoyKey })),
    await salt('nobody', make({ decoyKey })),
    'unless the key is shared',
  )
  t.match(await salt('nobody', make({ saltOctets: 64, iterations: 10_000 })), /^s=[\w+/]{86}==,i=10000$/)
})

t.test('malformed first messages', async t => {
  const long = 'x'.repeat(129)
  const messages = [
    '',
    'n',
    'n,',
    'n,,',
    ',,n=user,r=abc',
    'x,,n=user,r=abc',
    'N,,n=user,r=abc',
    'n,n=user,r=abc',
    'n,a=,n=user,r=abc', // header
    'n,b=x,n=user,r=abc',
    'n,a=a=b,n=user,r=abc',
    'p=tls-unique,,n=user,r=abc',
    'p=,,n=user,r=abc',
    'n=tls-unique,,n=user,r=abc',
    'n,,n=,r=abc',
    'n,,n=us=er,r=abc',
    'n,,n=us=2cer,r=abc',
    'n,,n=us\0er,r=abc',
    `n,,n=${'x'.repeat(256)},r=abc`,
    'n,,r=abc', // name
    'n,,n=user',
    'n,,n=user,',
    'n,,n=user,r=',
    'n,,n=user,r=a b',
    'n,,n=user,r=a\x7f',
    'n,,n=user,r=é',
    `n,,n=user,r=${long}`, // nonce
    'n,,r=abc,n=user',
    'n,,m=x,n=user,r=abc',
    'n,,n=user,m=x,r=abc',
    'n,,n=user,r=abc,m=x',
    'n,,n=user,r=abc,x=y,m=x', // order
    'n,,n=user,r=abc,',
    'n,,n=user,r=abc,x',
    'n,,n=user,r=abc,x=',
    'n,,n=user,r=abc,r=def',
    'n,,n=user,r=abc,n=root',
    'n,,n=user,r=abc,1=x',
    'n,,n=user,r=abc,x=\0',
    'n,,n=user,r=abc\n',
    ' n,,n=user,r=abc',
    Buffer.from('n,,n=us\xe9r,r=abc', 'latin1'),
  ]
  for (const message of messages) {
    const exchange = script(message, [FINAL, ''])
    await t.rejects(make().authenticate(exchange), { message: MALFORMED }, JSON.stringify(message))
    t.same(exchange.challenges, [])
  }
})

t.test('malformed final messages', async t => {
  const proof = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
  const messages = [
    '',
    'c=biws',
    `c=biws,r=${NONCE}`,
    `r=${NONCE},p=${proof}`,
    `c=biws,p=${proof}`,
    `c=biws,p=${proof},r=${NONCE}`,
    `r=${NONCE},c=biws,p=${proof}`,
    `c=b,r=${NONCE},p=${proof}`,
    `c=biws,r=,p=${proof}`,
    `c=biws,r=${NONCE},p=x`,
    `c=biws,r=${NONCE},p=${proof}=`,
    `c=biws,r=${NONCE},p=${proof},x=y`,
    `c=biws,r=${NONCE},p=${proof},p=${proof}`,
    `c=biws,r=${NONCE},m=x,p=${proof}`,
    `m=x,c=biws,r=${NONCE},p=${proof}`,
    `c=biws,r=${NONCE},c=biws,p=${proof}`,
    `c=biws,r=${NONCE},p=${proof}\n`,
    Buffer.from(`c=biws,r=${NONCE},x=\xe9,p=${proof}`, 'latin1'),
  ]
  for (const message of messages) {
    const exchange = script(FIRST, [message, ''])
    await t.rejects(make({ nonce }).authenticate(exchange), { message: MALFORMED }, JSON.stringify(message))
    t.same(exchange.seen, [])
  }
})

t.test('the signature must be answered by nothing', async t => {
  await t.rejects(make({ nonce }).authenticate(script(FIRST, [FINAL, 'x'])), { message: MALFORMED })
  await t.rejects(
    make({ nonce }).authenticate(script(FIRST, [FINAL])),
    { name: 'Cancelled' },
    'nor by *: then nobody is let in',
  )
})

t.test('messages of the greatest length are read in no time', async t => {
  const long = ',x=y'.repeat(3000)
  t.ok(readClientFirst(`n,,n=user,r=abc${long}`))
  t.equal(readClientFirst(`n,,n=user,r=abc${long},`), null)
  t.ok(readClientFinal(`c=biws,r=abc${long},p=AAAA`))
  t.equal(readClientFinal(`c=biws,r=abc${long}`), null)
})

t.test('the longest server-first fits into a reply line', async t => {
  const exchange = script(`n,,n=nobody,r=${'x'.repeat(128)}`, [FINAL])
  await make({ saltOctets: 64, iterations: 10_000_000 }).authenticate(exchange)
  t.ok(6 + Buffer.from(exchange.challenges[0] ?? '').toString('base64').length <= 512)
})

t.test('scramSecret', async t => {
  t.same(JSON.parse(JSON.stringify(secret)), {
    salt: SALT,
    iterations: 4096,
    storedKey: 'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=',
    serverKey: 'wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  })
  const made = await scramSecret('pencil')
  t.equal(made.iterations, 100_000)
  t.equal(Buffer.from(made.salt, 'base64').length, 16)
  t.not(made.salt, (await scramSecret('pencil', { iterations: 4096 })).salt)
  t.same(
    await scramSecret('\u2168', { salt: Buffer.alloc(8), iterations: 4096 }),
    await scramSecret('IX', { salt: Buffer.alloc(8), iterations: 4096 }),
    'the password is prepared',
  )
  for (const options of [
    { iterations: 4095 },
    { iterations: 4096.5 },
    { iterations: 1e8 },
    { salt: Buffer.alloc(7) },
  ]) {
    await t.rejects(scramSecret('pencil', options), { code: 'ERR_OPTION' })
  }
  await t.rejects(scramSecret(''), { code: 'ERR_OPTION' })
  await t.rejects(scramSecret('secret\x07'), { code: 'ERR_OPTION', message: /^(?!.*secret)/ })
})

t.test('wrong options and broken secrets', async t => {
  t.throws(() => make({ iterations: 1 }), { code: 'ERR_OPTION' })
  t.throws(() => make({ saltOctets: 65 }), { code: 'ERR_OPTION' })
  t.throws(() => make({ decoyKey: '' }), { code: 'ERR_OPTION' })
  const broken: Partial<ScramSecret>[] = [
    { salt: 'no base64' },
    { salt: '' },
    { storedKey: 'AAAA' },
    { serverKey: 'no base64' },
    { iterations: 1 },
  ]
  for (const part of broken) {
    const mechanism = make({ lookup: () => ({ ...secret, ...part }) })
    await t.rejects(mechanism.authenticate(script(FIRST, [FINAL, ''])), { code: 'ERR_OPTION' }, JSON.stringify(part))
  }
  const down = make({ lookup: () => Promise.reject(new RangeError('down')) })
  await t.rejects(down.authenticate(script(FIRST, [FINAL, ''])), RangeError)
})
