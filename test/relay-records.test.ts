// Mail for several recipients of an LMTP upstream some of which have it: the retry brings nobody a second copy, also where
// it comes to another process, or the connection was lost between two verdicts.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import { DeliveryRecords } from '../lib/deliveries/relay/records.ts'
import { RetryGuard } from '../lib/deliveries/relay/retry-guard.ts'
import { SharedRecords } from '../lib/deliveries/relay/shared-records.ts'
import { reply } from '../lib/index.ts'
import { storeFailureChannel, type StoreFailureEvent } from '../lib/policies/diagnostics.ts'
import type { Session } from '../lib/smtp/session.ts'
import { memoryStore, StoreError, type Store } from '../lib/stores.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { inFrontOf, startMailboxes, type Mailboxes } from './fixtures/mailboxes.ts'
import { until } from './fixtures/until.ts'
import { MAIL, sendMail, type Front } from './fixtures/upstream.ts'

const TO = ['b@example.org', 'full@example.org', 'c@example.org']

/** Takes for all but those whose name begins with `full`; with `lost` the connection ends there. */
const byName = (address: string): 'takes' | 'full' | 'lost' =>
  address.startsWith('full') ? 'full' : address.startsWith('lost') ? 'lost' : 'takes'

/** Two relays, as of two processes, over one store. */
async function two(t: Test, store: Store, byBdat = false): Promise<Mailboxes & { readonly fronts: readonly Front[] }> {
  const mailboxes = await startMailboxes(t, byName, byBdat)
  const fronts = await Promise.all([1, 2].map(() => inFrontOf(t, mailboxes, {}, { store })))
  return { ...mailboxes, fronts }
}

/** A store whose calls of these names fail. */
function failing(names: readonly (keyof Store)[], fail: () => Promise<never>): Store {
  const store = memoryStore()
  return new Proxy(store, {
    get(target, name) {
      if (names.includes(name as keyof Store)) return fail
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

for (const byBdat of [false, true]) {
  t.test(`${byBdat ? 'BDAT' : 'DATA'}: the retry comes to another process`, async t => {
    const { fronts, copies, upstream } = await two(t, memoryStore(), byBdat)
    t.match((await sendMail(fronts[0]!.c, TO)).at(-1), /^451 4\.2\.0 /)
    const again = await sendMail(fronts[1]!.c, TO)
    t.match(again[2], /^450 4\.2\.0 The recipient was refused a moment ago/)
    t.match(again.at(-1), /^250 /)
    t.strictSame([...copies.values()], [1, 1])
    t.equal(upstream.messages.length, 1)
    // Told once: the next message to the same ones is for all of them.
    const alone = await sendMail(fronts[1]!.c, ['full@example.org'])
    t.match(alone[1], /^250 /)
    t.match(alone.at(-1), /^452 4\.2\.2 /)
    await fronts[1]!.c.command('MAIL FROM:<a@client.example>', 250)
    for (const to of TO) await fronts[1]!.c.command(`RCPT TO:<${to}>`, 250)
  })
}

t.test('delivered by one process, told by another: to both the same octets are another message then', async t => {
  const { fronts, copies } = await two(t, memoryStore())
  t.match((await sendMail(fronts[0]!.c, TO)).at(-1), /^451 /)
  t.match((await sendMail(fronts[1]!.c, TO)).at(-1), /^250 /)
  t.match((await sendMail(fronts[0]!.c, ['b@example.org'])).at(-1), /^250 /)
  t.equal(copies.get('b@example.org'), 2)
})

t.test('the first recipient was refused: it is told so although it comes first, once', async t => {
  const { fronts, copies } = await two(t, memoryStore())
  const order = ['full@example.org', 'b@example.org']
  t.match((await sendMail(fronts[0]!.c, order)).at(-1), /^451 /)
  const again = await sendMail(fronts[1]!.c, order)
  t.match(again[1], /^450 4\.2\.0 /)
  t.match(again.at(-1), /^250 /)
  const third = await sendMail(fronts[1]!.c, order)
  t.match(third[1], /^250 /, 'asked again')
  t.match(third.at(-1), /^451 4\.2\.0 /, 'the same octets after a 250 are another message')
  t.strictSame([...copies], [['b@example.org', 2]])
})

t.test('another sender, another message', async t => {
  const { fronts, copies } = await two(t, memoryStore())
  t.match((await sendMail(fronts[0]!.c, TO)).at(-1), /^451 /)
  const { c } = fronts[1]!
  await c.command('MAIL FROM:<other@client.example>', 250)
  for (const to of TO) await c.command(`RCPT TO:<${to}>`, 250)
  await c.command('DATA', 354)
  c.write(`${MAIL}.\r\n`)
  await c.expect(451)
  t.strictSame([...copies.values()], [2, 2])
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  c.write(`X${MAIL}.\r\n`)
  await c.expect(250)
  t.equal(copies.get('b@example.org'), 3)
})

t.test('the store is down: mail goes on, and the process remembers alone', async t => {
  const failures: StoreFailureEvent[] = []
  const listen = (event: unknown): void => void failures.push(event as StoreFailureEvent)
  subscribe(storeFailureChannel.name, listen)
  t.teardown(() => unsubscribe(storeFailureChannel.name, listen))
  const down = failing(['know', 'known'], () => Promise.reject(new StoreError('down', 'no connection')))
  const { fronts, copies } = await two(t, down)
  t.match((await sendMail(fronts[0]!.c, TO)).at(-1), /^451 4\.2\.0 /)
  const again = await sendMail(fronts[0]!.c, TO)
  t.match(again[2], /^452 4\.2\.2 <full@example\.org> is full/)
  t.match(again.at(-1), /^250 /)
  t.strictSame([...copies.values()], [1, 1])
  t.match((await sendMail(fronts[1]!.c, TO)).at(-1), /^451 4\.2\.0 /, 'another process knows nothing')
  t.strictSame([...copies.values()], [2, 2])
  t.match(failures[0], { policy: 'relay', error: { kind: 'down' } })
  t.equal(failures.length, 5, 'once a transaction for what it asks, once for what it notes')
})

t.test('a store that answers too late for a further question: the log is told', async t => {
  const told: string[] = []
  const listen = (event: unknown): void => void told.push((event as StoreFailureEvent).error.message)
  subscribe(storeFailureChannel.name, listen)
  t.teardown(() => unsubscribe(storeFailureChannel.name, listen))
  const fake = new FakeClock()
  const time = { passed: 0 }
  const clock = {
    now: () => fake.now() + time.passed,
    wallTime: () => fake.wallTime(),
    after: (milliseconds: number, callback: () => void) => fake.after(milliseconds, callback),
    clear: (timer: unknown) => fake.clear(timer),
  }
  const store = memoryStore()
  const slow: Store = {
    ...bound(store),
    async known(keys, options) {
      time.passed += 300 // the answer is there when the process looks again
      return store.known(keys, options)
    },
  }
  const shared = new SharedRecords(slow, ['mx.example'])
  await shared.note({ sender: 'a@b.example', from: 'a', refused: [], digest: null, delivered: [] }, {})
  const session = { client: { address: '192.0.2.1', port: null } } as unknown as Session
  const parts = { records: new DeliveryRecords(clock), shared, session, sender: 'a@b.example', clock }
  t.equal(await new RetryGuard(parts).takeRefusal('b@example.org', false), null)
  t.strictSame(told, ['the session has used its time for the store'])
})

t.test('the store fails when it is asked of the message: it is delivered, not answered 250 for', async t => {
  let calls = 0
  const store = memoryStore()
  const known: Store['known'] = (keys, options) => {
    if (keys.some(key => key.includes('"has"'))) return Promise.reject(new StoreError('timeout', 'late'))
    calls += 1
    return store.known(keys, options)
  }
  const { fronts, copies } = await two(t, { ...bound(store), known })
  t.match((await sendMail(fronts[0]!.c, TO)).at(-1), /^451 /)
  const again = await sendMail(fronts[1]!.c, TO)
  t.match(again.at(-1), /^250 2\.0\.0 <b@example\.org> has it/)
  t.strictSame([...copies.values()], [2, 2])
  t.ok(calls > 3)
})

function bound(store: Store): Store {
  return {
    name: store.name,
    greylist: (...call) => store.greylist(...call),
    accept: (...call) => store.accept(...call),
    hit: (...call) => store.hit(...call),
    know: (...call) => store.know(...call),
    known: (...call) => store.known(...call),
    forget: (...call) => store.forget(...call),
    put: (...call) => store.put(...call),
    scan: (...call) => store.scan(...call),
    sweep: () => store.sweep(),
    stats: () => store.stats(),
    close: () => store.close(),
  }
}

t.test('a store that never answers holds nobody for longer than 300 ms', async t => {
  const clock = new FakeClock()
  let asked = 0
  const store = failing(['know', 'known'], () => new Promise<never>(() => (asked += 1)))
  /** 300 ms pass once the store has been asked so many questions. */
  const passAfter = async (questions: number): Promise<void> => {
    await until(() => asked === questions)
    await clock.tick(300)
  }
  const mailboxes = await startMailboxes(t, byName)
  const { c } = await inFrontOf(t, mailboxes, {}, { store, clock })
  await c.command('MAIL FROM:<a@client.example>', 250)
  c.write('RCPT TO:<b@example.org>\r\n')
  await passAfter(1)
  await c.expect(250)
  await c.command('RCPT TO:<full@example.org>', 250)
  await c.command('DATA', 354)
  c.write(`${MAIL}.\r\n`)
  await passAfter(2)
  await c.expect(451)
})

t.test('one message is for many recipients: refusals of some are told apart a dozen times', async t => {
  const store = memoryStore()
  const records = new SharedRecords(store, ['a'])
  const refused = [{ recipient: 'b', reply: reply(452, '4.2.2', 'Full'), isFirst: false }]
  const note = (): Promise<void> => records.note({ sender: 's', from: 's', refused, digest: null, delivered: [] }, {})
  for (let n = 0; n < 12; n++) {
    await note()
    t.equal(await records.takeRefusal('s', 'b', true, {}), false, 'alone it is asked')
    t.equal(await records.takeRefusal('s', 'b', false, {}), true)
    t.equal(await records.takeRefusal('s', 'b', false, {}), false, 'told once')
  }
  await note()
  t.equal(await records.takeRefusal('s', 'b', false, {}), false, 'more are too many: it is asked')
  t.equal(await records.concern('s', {}), true)
  t.equal(await records.concern('another', {}), false)
  t.equal(await new SharedRecords(store, ['another']).concern('s', {}), false)
  const delivered = Array.from({ length: 1200 }, (_, i) => String(i))
  await records.note({ sender: 's', from: 's', refused: [], digest: 'd', delivered }, {})
  t.strictSame(await records.without('d', delivered, {}), [])
  t.strictSame(await records.without('d', ['1', 'b'], {}), ['b'])
  await records.forgetDelivery('d', ['1'], {})
  t.strictSame(await records.without('d', ['1', '2'], {}), ['1'], 'once the client was told')
})

t.test('what one network was refused is not told to another that uses the same name', async t => {
  const records = new DeliveryRecords(new FakeClock())
  const guard = (address: string): RetryGuard => {
    const session = { client: { address, port: null } } as unknown as Session
    return new RetryGuard({ records, shared: null, session, sender: 'boss@bank.example', clock: new FakeClock() })
  }
  const forger = guard('198.51.100.66')
  forger.begin(['a@example.org', 'b@example.org'])
  t.equal((await forger.join([reply(250, '2.0.0', 'OK'), reply(550, '5.7.1', 'Spam')])).code, 451)
  t.equal(await guard('192.0.2.1').takeRefusal('b@example.org', false), null, 'the upstream is asked')
  t.equal((await guard('198.51.100.7').takeRefusal('b@example.org', false))?.code, 550, 'the forger is told')
})

for (const byBdat of [false, true]) {
  for (const isShared of [false, true]) {
    const where = `${byBdat ? 'BDAT' : 'DATA'}, ${isShared ? 'another process' : 'the same process'}`

    t.test(`${where}: the connection is lost between two verdicts`, async t => {
      let isLost = true
      const mailboxes = await startMailboxes(t, to => (to.startsWith('lost') && isLost ? 'lost' : byName(to).replace('lost', 'takes') as 'takes'), byBdat) // prettier-ignore
      const { copies } = mailboxes
      const store = memoryStore()
      const first = await inFrontOf(t, mailboxes, {}, isShared ? { store } : {})
      const { c } = isShared ? await inFrontOf(t, mailboxes, {}, { store }) : first
      const order = ['b@example.org', 'full@example.org', 'lost@example.org', 'last@example.org']
      t.match((await sendMail(first.c, order)).at(-1), /^451 4\.4\.2 /)
      isLost = false
      const [, b, full, lost, last, , end] = await sendMail(c, order)
      t.match(b, /^250 /)
      t.match(full, isShared ? /^450 4\.2\.0 / : /^452 4\.2\.2 /)
      t.match(lost, isShared ? /^450 4\.2\.0 / : /^451 4\.4\.2 /)
      t.match(last, isShared ? /^450 4\.2\.0 / : /^451 4\.4\.2 /)
      t.match(end, /^250 /)
      t.strictSame([...copies], [['b@example.org', 1]])
      t.match((await sendMail(c, ['lost@example.org', 'last@example.org'])).at(-1), /^250 /)
      t.strictSame([...copies.values()], [1, 1, 1])
    })
  }
}

t.test('lost before the first verdict: all are asked again; after a refusal alone, the others are', async t => {
  for (const order of [
    ['lost@example.org', 'b@example.org'],
    ['full@example.org', 'lost@example.org'],
  ]) {
    // prettier-ignore
    let isLost = true
    const mailboxes = await startMailboxes(t, to => (to.startsWith('full') ? 'full' : isLost ? 'lost' : 'takes'))
    const { c } = await inFrontOf(t, mailboxes)
    t.match((await sendMail(c, order)).at(-1), /^451 4\.4\.2 /)
    isLost = false
    const again = await sendMail(c, order)
    t.match(again[1], order[0]!.startsWith('full') ? /^452 4\.2\.2 / : /^250 /)
    t.match(again[2], /^250 /)
    t.match(again.at(-1), /^250 /)
  }
})

t.test('a client of LMTP is told the verdicts that were had', async t => {
  const mailboxes = await startMailboxes(t, byName)
  const { c } = await inFrontOf(t, mailboxes, { lmtp: true })
  await c.command('MAIL FROM:<a@client.example>', 250)
  for (const name of ['b', 'full', 'lost', 'c']) await c.command(`RCPT TO:<${name}@example.org>`, 250)
  await c.command('DATA', 354)
  c.write(`${MAIL}.\r\n`)
  await c.expect(/^250 .*<b@/)
  await c.expect(/^452 .*<full@/)
  await c.expect(/^451 4\.4\.2 /)
  await c.expect(/^451 4\.4\.2 /)
  t.equal(mailboxes.copies.size, 1)
})

t.test('an alarm without Date or Message-ID that comes again after its 250 is delivered again', async t => {
  for (const store of [undefined, memoryStore()]) {
    const mailboxes = await startMailboxes(t, byName)
    const { c } = await inFrontOf(t, mailboxes, {}, store === undefined ? {} : { store })
    t.match((await sendMail(c, ['b@example.org', 'full@example.org'])).at(-1), /^451 /)
    t.match((await sendMail(c, ['b@example.org'])).at(-1), /^250 /, 'the retry: it has the message')
    t.equal(mailboxes.copies.get('b@example.org'), 1)
    for (const copies of [2, 3]) {
      t.match((await sendMail(c, ['b@example.org'])).at(-1), /^250 /)
      t.equal(mailboxes.copies.get('b@example.org'), copies)
    }
  }
})

t.test('a client that did not hear its 250 sends the same octets again: remembered too, a dozen times', async t => {
  const store = memoryStore()
  const mailboxes = await startMailboxes(t, byName)
  const both = ['b@example.org', 'full@example.org']
  /** Of another process each time: none remembers by itself. */
  const next = async (): Promise<Front> => inFrontOf(t, mailboxes, {}, { store })
  t.match((await sendMail((await next()).c, both)).at(-1), /^451 4\.2\.0 /)
  for (let copies = 1; copies <= 12; copies++) {
    const { c } = await next()
    const replies = await sendMail(c, both)
    t.match(replies.at(-1), /^250 /, 'the other one has the message')
    t.equal(mailboxes.copies.get('b@example.org'), copies, 'and gets no second copy')
    // This 250 was lost: the client sends both again.
    t.match((await sendMail(c, both)).at(-1), /^451 4\.2\.0 /)
    t.equal(mailboxes.copies.get('b@example.org'), copies + 1)
  }
  t.match((await sendMail((await next()).c, ['b@example.org'])).at(-1), /^250 /)
  t.equal(mailboxes.copies.get('b@example.org'), 14, 'with more in a day it is delivered')
})
