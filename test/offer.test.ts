// `offer` of a delivery: it narrows what EHLO promises, and what MAIL, RCPT and the mail data may then have.

import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Delivery } from '../lib/smtp/hooks.ts'
import { checkNarrowed, type Offer } from '../lib/smtp/offer.ts'
import type { SessionOptions } from '../lib/smtp/options.ts'
import type { Session } from '../lib/smtp/session.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { converse, type Conversation } from '../lib/testing/conversation.ts'
import { begin, quit } from './fixtures/dialogue.ts'
import { accepted as onAuth, watched, watchProcess } from './fixtures/hooks.ts'

watchProcess(t)

type Narrow = NonNullable<Delivery['offer']>

const delivery = (offer: Narrow): Delivery => ({ offer, onMessage: async message => void (await text(message)) })

const without =
  (...names: readonly string[]): Narrow =>
  (_, { size, extensions }) => ({ size, extensions: new Set([...extensions].filter(name => !names.includes(name))) })

const smaller =
  (size: number): Narrow =>
  (_, { extensions }) => ({ size, extensions })

const full: Offer = { size: 1000, extensions: new Set(['SIZE', 'PIPELINING'] as const) }

t.test('checkNarrowed: the same or less', t => {
  for (const narrowed of [
    full,
    { size: 999, extensions: full.extensions },
    { size: 1000, extensions: new Set() },
    { size: 1, extensions: new Set(['SIZE']) },
  ] as Offer[]) {
    t.match(checkNarrowed(full, narrowed), { size: narrowed.size })
    t.strictSame([...checkNarrowed(full, narrowed).extensions], [...narrowed.extensions])
  }
  const unlimited: Offer = { ...full, size: 0 }
  t.equal(checkNarrowed(unlimited, full).size, 1000, 'any size is less than none')
  t.equal(checkNarrowed(unlimited, unlimited).size, 0)
  t.end()
})

t.test('checkNarrowed: all else is ERR_OPTION', t => {
  const { extensions } = full
  const table: [unknown, RegExp][] = [
    [{ size: 1001, extensions }, /size 1001; it is at most 1000/],
    [{ size: 0, extensions }, /size 0; it is at most 1000/],
    [{ size: -1, extensions }, /size -1/],
    [{ size: NaN, extensions }, /size NaN/],
    [{ size: 10.5, extensions }, /size 10\.5/],
    [{ size: Infinity, extensions }, /size Infinity/],
    [{ size: '10', extensions }, /offer\(\) returns \{ size, extensions \}/],
    [{ size: 10, extensions: ['SIZE'] }, /offer\(\) returns \{ size, extensions \}/],
    [{ size: 10, extensions: new Set(['SIZE', 'DSN']) }, /adds DSN/],
    [{ size: 10 }, /offer\(\) returns/],
    [{ extensions }, /offer\(\) returns/],
    [undefined, /offer\(\) returns/],
    [null, /offer\(\) returns/],
    [Promise.resolve(full), /offer\(\) returns/],
  ]
  for (const [narrowed, message] of table) {
    t.throws(() => checkNarrowed(full, narrowed as Offer), { code: 'ERR_OPTION', message }, String(message))
  }
  t.throws(() => checkNarrowed({ ...full, size: 0 }, { size: NaN, extensions }), { code: 'ERR_OPTION' })
  t.end()
})

// ── EHLO ──

t.test('EHLO shows what is left of the offer', async t => {
  const table: [Narrow, RegExp, RegExp][] = [
    [smaller(4000), /^250[- ]SIZE 4000$/m, /SIZE 5000/],
    [without('SIZE'), /8BITMIME/, /SIZE/],
    [without('SMTPUTF8', 'CHUNKING', 'BINARYMIME'), /8BITMIME/, /SMTPUTF8|CHUNKING|BINARYMIME/],
    [(_, { size }) => ({ size, extensions: new Set() }), /^250 mx$/m, /PIPELINING|SIZE|8BIT/],
    [(_, offer) => offer, /^250-SIZE 5000$[^]*^250-SMTPUTF8$/m, /DSN/],
  ]
  for (const [narrow, shown, hidden] of table) {
    const c = converse(new SmtpHandler({ name: 'mx', size: 5000, delivery: delivery(narrow) }))
    await c.expect(220)
    const { text } = await c.command('EHLO c.example', 250)
    t.match(text, shown)
    t.notMatch(text, hidden)
    await quit(c)
  }
})

t.test('asked at each EHLO, and each time anew, with the session and the full offer', async t => {
  const asked: unknown[] = []
  let size = 5000
  const narrow: Narrow = (session: Session, offer) => {
    asked.push([session.helo, session.user, offer.size, offer.extensions.has('SMTPUTF8')])
    size -= 1000
    return { size, extensions: offer.extensions }
  }
  const c = converse(new SmtpHandler({ size: 5000, auth: { insecure: true }, delivery: delivery(narrow), onAuth }))
  await c.expect(220)
  t.strictSame(asked, [], 'not before EHLO')
  t.match((await c.command('EHLO one.example', 250)).text, /SIZE 4000/)
  t.match((await c.command('EHLO two.example', 250)).text, /SIZE 3000/)
  await c.command(`AUTH PLAIN ${Buffer.from('\0joe\0sesame').toString('base64')}`, 235)
  await c.command('MAIL FROM:<a@b.example> SIZE=3001', 552)
  await c.command('MAIL FROM:<a@b.example> SIZE=3000', 250)
  t.strictSame(
    asked,
    [
      ['one.example', null, 5000, true],
      ['two.example', null, 5000, true],
    ],
    'nor at AUTH, which says no offer',
  )
  await c.command('RSET', 250)
  t.match((await c.command('EHLO three.example', 250)).text, /SIZE 2000/)
  t.strictSame(asked.at(-1), ['three.example', 'joe', 5000, true])
  await quit(c)
})

t.test('an offer that another session narrowed is not this one’s', async t => {
  let isNarrow = true
  const options = {
    delivery: delivery((_, offer) => {
      if (!isNarrow) return offer
      ;(offer.extensions as Set<string>).delete('SMTPUTF8')
      return offer
    }),
  }
  const first = converse(new SmtpHandler(options))
  await first.expect(220)
  t.notMatch((await first.command('EHLO c.example', 250)).text, /SMTPUTF8/)
  isNarrow = false
  t.match((await first.command('EHLO c.example', 250)).text, /SMTPUTF8/)
  const second = converse(new SmtpHandler(options))
  await second.expect(220)
  t.match((await second.command('EHLO c.example', 250)).text, /SMTPUTF8/)
})

// ── An offer that is wrong ──

const WRONG: Record<string, Narrow> = {
  'adds an extension': (_, { size, extensions }) => ({ size, extensions: new Set([...extensions, 'DSN']) }),
  'adds an extension to the set it was given': (_, offer) => {
    ;(offer.extensions as Set<string>).add('DSN')
    return offer
  },
  'is larger': smaller(5001),
  'is without limit': smaller(0),
  'is no offer': () => undefined as unknown as Offer,
  'comes later': (async (_: Session, offer: Offer) => offer) as unknown as Narrow,
}

for (const [name, narrow] of Object.entries(WRONG)) {
  t.test(`an offer that ${name}: 451 to EHLO, reported, and no mail is taken`, async t => {
    let isWrong = true
    const { handler, errors } = watched({
      size: 5000,
      delivery: delivery((session, offer) => (isWrong ? narrow(session, offer) : offer)),
    })
    const c = converse(handler)
    await c.expect(220)
    await c.command('EHLO c.example', '451 4.3.0 Local error, please try again later')
    t.match(errors, [{ code: 'ERR_OPTION' }])
    t.equal(errors.length, 1)
    await c.command('MAIL FROM:<a@b.example>', '503 5.5.1 Send HELO or EHLO first')
    isWrong = false
    await c.command('EHLO c.example', 250)
    isWrong = true
    await c.command('EHLO c.example', 451)
    await c.command('MAIL FROM:<a@b.example>', 503)
    await quit(c)
  })
}

t.test('an offer() that throws: 451, and its error is reported', async t => {
  const boom = new Error('the upstream is not known')
  const { handler, errors } = watched({
    delivery: delivery(() => {
      throw boom
    }),
  })
  const c = converse(handler)
  await c.expect(220)
  await c.command('EHLO c.example', '451 4.3.0 Local error, please try again later')
  t.strictSame(errors, [boom])
  await quit(c)
})

// ── What MAIL and RCPT accept ──

t.test('MAIL and RCPT accept what was offered', async t => {
  const table: [Narrow, accepted: string, refused: string, code: number][] = [
    [smaller(4000), 'SIZE=4000', 'SIZE=4001', 552],
    [without('SIZE'), '', 'SIZE=1', 555],
    [without('8BITMIME', 'BINARYMIME', 'SMTPUTF8'), 'SIZE=1', 'BODY=8BITMIME', 555],
    [without('BINARYMIME'), 'BODY=8BITMIME', 'BODY=BINARYMIME', 555],
    [without('SMTPUTF8'), 'BODY=8BITMIME', 'SMTPUTF8', 555],
    [without('DSN'), '', 'RET=HDRS', 555],
  ]
  for (const [narrow, accepted, refused, code] of table) {
    const c = await begin(new SmtpHandler({ size: 5000, extensions: { DSN: true }, delivery: delivery(narrow) }))
    await c.command(`MAIL FROM:<a@b.example> ${refused}`, code)
    await c.command(`MAIL FROM:<a@b.example> ${accepted}`, 250)
    await quit(c)
    t.pass(refused)
  }
  const c = await begin(new SmtpHandler({ extensions: { DSN: true }, delivery: delivery(without('DSN', 'SMTPUTF8')) }))
  await c.command('MAIL FROM:<ä@b.example>', 553)
  await c.command('MAIL FROM:<a@b.example>', 250)
  await c.command('RCPT TO:<c@d.example> NOTIFY=NEVER', 555)
  await c.command('RCPT TO:<c@d.example>', 250)
  await quit(c)
})

t.test('commands of an extension that is not offered any more are not available', async t => {
  const open = async (name: string): Promise<Conversation> =>
    begin(new SmtpHandler({ auth: { insecure: true }, delivery: delivery(without(name)), onAuth }))
  const auth = await open('AUTH')
  t.notMatch(auth.replies[1]?.text, /AUTH/)
  await auth.command('AUTH PLAIN', '502 5.5.1 AUTH is not available')
  t.notMatch((await auth.command('HELP', 214)).text, /AUTH/)
  await quit(auth)
  const chunking = await open('CHUNKING')
  await chunking.command('MAIL FROM:<a@b.example>', 250)
  await chunking.command('RCPT TO:<c@d.example>', 250)
  t.notMatch((await chunking.command('HELP', 214)).text, /BDAT/)
  await chunking.command('BDAT 3 LAST', '502 5.5.1 BDAT is not available: send DATA')
  await chunking.closed()
})

// ── Mail in flight ──

/** Sends so many octets of mail data and returns the verdict. */
async function send(c: Conversation, way: 'DATA' | 'BDAT' | 'BDAT twice', octets: number): Promise<number> {
  const mail = `${'x'.repeat(octets - 2)}\r\n`
  await c.command('MAIL FROM:<a@b.example>', 250)
  await c.command('RCPT TO:<c@d.example>', 250)
  if (way === 'DATA') {
    await c.command('DATA', 354)
    await c.data(mail)
  } else if (way === 'BDAT') c.write(`BDAT ${octets} LAST\r\n${mail}`)
  else {
    c.write(`BDAT ${octets - 2}\r\n${mail.slice(0, -2)}`)
    const { code } = await c.expect()
    if (code !== 250) {
      await c.command('RSET', 250)
      return code
    }
    c.write('BDAT 2 LAST\r\n\r\n')
  }
  return (await c.expect()).code
}

t.test('the smaller size counts for mail in flight, until the next EHLO', async t => {
  let size = 100
  const options: SessionOptions & { delivery: Delivery } = {
    size: 5000,
    delivery: delivery((_, { extensions }) => ({ size, extensions })),
  }
  for (const greeting of ['EHLO', 'HELO']) {
    for (const way of ['DATA', 'BDAT', 'BDAT twice'] as const) {
      size = 100
      const c = converse(new SmtpHandler(options))
      await c.expect(220)
      await c.command(`${greeting} c.example`, 250)
      t.equal(await send(c, way, 100), 250, `${greeting}, ${way}: as many octets as offered`)
      t.equal(await send(c, way, 101), 552, `${greeting}, ${way}: one more`)
      t.equal(await send(c, way, 5000), 552, `${greeting}, ${way}: as many as the option size`)
      size = 200
      await c.command(`${greeting} c.example`, 250)
      t.equal(await send(c, way, 101), 250, `${greeting}, ${way}: with the next offer`)
      t.equal(await send(c, way, 201), 552, `${greeting}, ${way}: and no more than that`)
      await quit(c)
    }
  }
})

t.test('without offer() the option counts', async t => {
  for (const way of ['DATA', 'BDAT', 'BDAT twice'] as const) {
    const c = await begin(new SmtpHandler({ size: 100, delivery: { onMessage: delivery(smaller(1)).onMessage } }))
    t.equal(await send(c, way, 100), 250)
    t.equal(await send(c, way, 101), 552)
    await quit(c)
  }
  const c = await begin(new SmtpHandler({ size: 0, delivery: { onMessage: delivery(smaller(1)).onMessage } }))
  t.equal(await send(c, 'DATA', 500_000), 250, '0: no limit')
})
