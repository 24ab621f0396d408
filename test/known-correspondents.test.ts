// Whom our own users write to may answer at once.

import { text } from 'node:stream/consumers'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { storeFailureChannel } from '../lib/policies/diagnostics.ts'
import { greylistKey } from '../lib/policies/greylist/decisions.ts'
import { knownCorrespondents, type KnownCorrespondentsOptions } from '../lib/policies/known-correspondents.ts'
import { suspicionKey, type Suspicion } from '../lib/policies/suspicion/verdict.ts'
import type { Policy } from '../lib/smtp/hooks.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { circuitBreaker } from '../lib/stores/circuit-breaker.ts'
import { memoryStore } from '../lib/stores/memory-store.ts'
import { StoreError } from '../lib/stores/store-error.ts'
import { FakeClock, settle } from '../lib/testing/fake-clock.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { deliver, begin, quit } from './fixtures/dialogue.ts'
import { DAY, World, type Mail } from './fixtures/greylisting.ts'

const PASSED = '250 354 250'
const HELD = '451'
const SPF = { result: 'pass', domain: 'example.net', mechanism: 'ip4:192.0.2.0/24', prefix: 24 } as const

const found = (suspicion: Partial<Suspicion>): Policy => ({
  onRcptTo: (_, { notes }) => notes.set(suspicionKey, { score: 9, signs: [], suspicious: true, ...suspicion }),
})

/** A store that our user has used, and what answers come to. */
class Scene {
  readonly clock = new FakeClock()
  readonly store = memoryStore({ clock: { now: () => this.clock.wallTime() } })
  readonly policy: Policy

  constructor(options: Partial<KnownCorrespondentsOptions> = {}) {
    this.policy = knownCorrespondents({ store: this.store, clock: this.clock, ...options })
  }

  async write(
    to: readonly string[],
    { user = 'bob', from = 'Bob@example.org', verdict }: { user?: string | null; from?: string; verdict?: Reply } = {},
  ): Promise<void> {
    const handler = new SmtpHandler({
      auth: { insecure: true },
      policies: [{ onAuth: () => reply(235, '2.7.0', 'Come in') }, this.policy],
      async onMessage(message) {
        await text(message)
        return verdict
      },
    })
    const c = await begin(handler)
    if (user !== null) await c.command(`AUTH PLAIN ${Buffer.from(`\0${user}\0secret`).toString('base64')}`, 235)
    await c.command(`MAIL FROM:<${from}>`, 250)
    for (const each of to) await c.command(`RCPT TO:<${each}>`, 250)
    await deliver(c, verdict?.code ?? 250)
    await quit(c)
    await settle(20)
  }

  answer(mail: Mail = {}, suspicion: Partial<Suspicion> = { spf: SPF }): Promise<string> {
    return new World({ before: [found(suspicion), this.policy] }).codes(mail)
  }
}

t.test('the answer of whom a user wrote to passes at once', async t => {
  const scene = new Scene()
  t.equal(await scene.answer(), HELD)
  await scene.write(['Anna@Example.NET', 'carl@example.net'])
  t.equal(await scene.answer(), PASSED)
  t.equal(await scene.answer({ sender: 'carl@example.net' }), PASSED)
  t.equal(await scene.answer({ sender: 'eve@example.net' }), HELD, 'by pair: another correspondent')
  t.equal(await scene.answer({ to: ['dora@example.org'] }), HELD, 'by pair: another user')
  t.equal(await scene.answer({ to: ['bob@example.org', 'dora@example.org'] }), '250 451 354 250')
  t.equal(await scene.answer({ sender: '' }), '250 451')
})

t.test('it skips greylisting and nothing else', async t => {
  const scene = new Scene()
  await scene.write(['anna@example.net'])
  let trusted: string | null = 'not asked'
  const look: Policy = { onRcptTo: recipient => void (trusted = recipient.trusted) }
  const world = new World({ before: [found({ spf: SPF }), scene.policy], behind: [look] })
  const { envelope } = await world.send()
  t.match(envelope!.notes.get(greylistKey)!.decisions, [{ verdict: 'exempt', reason: 'known correspondent' }])
  t.equal(trusted, null)
})

t.test('the answer must come from who it says', async t => {
  const scene = new Scene()
  await scene.write(['anna@example.net'])
  const table: [string, Partial<Suspicion>, string, Mail?][] = [
    ['nothing is known', {}, HELD],
    ['a confirmed name of the domain', { hostName: 'mx1.example.net' }, PASSED],
    ['a confirmed name of another', { hostName: 'mx1.example.com' }, HELD],
    ['SPF for another domain', { spf: { ...SPF, domain: 'example.com' } }, HELD],
    ['SPF fails', { spf: { ...SPF, result: 'fail' } }, HELD],
    ['SPF passes for everybody', { spf: { ...SPF, mechanism: 'all', prefix: 0 } }, HELD],
    ['SPF passes by a wide network', { spf: { ...SPF, prefix: 8 } }, HELD],
    ['a name of the session', {}, PASSED, { name: 'mx.example.net' }],
  ]
  for (const [what, suspicion, expected, mail] of table) t.equal(await scene.answer(mail, suspicion), expected, what)
})

t.test('only after the 250, and only what authenticated users write', async t => {
  const refused = new Scene()
  await refused.write(['anna@example.net'], { verdict: reply(550, '5.7.1', 'No') })
  t.equal(await refused.answer(), HELD)
  const stranger = new Scene()
  await stranger.write(['anna@example.net'], { user: null })
  t.equal(await stranger.answer(), HELD)
  t.equal((await stranger.store.stats()).known, 0)
})

t.test('a user is capped, a day; a pair is forgotten', async t => {
  const scene = new Scene({ perDay: 2, life: 10 * DAY })
  await scene.write(['anna@example.net', 'carl@example.net', 'eve@example.net'])
  t.equal((await scene.store.stats()).known, 2)
  t.equal(await scene.answer({ sender: 'eve@example.net' }), HELD)
  await scene.write(['x@example.net'], { user: 'dora', from: 'dora@example.org' })
  t.equal((await scene.store.stats()).known, 3, 'each user has a cap')
  await scene.clock.tick(DAY)
  await scene.write(['eve@example.net'])
  t.equal(await scene.answer({ sender: 'eve@example.net' }), PASSED)
  await scene.clock.tick(9 * DAY + 1)
  t.equal(await scene.answer(), HELD)
  t.equal(await scene.answer({ sender: 'eve@example.net' }), PASSED)
})

t.test('a store that fails means that nobody is known, and is told', async t => {
  const events: unknown[] = []
  const listen = (event: unknown): void => void events.push(event)
  subscribe(storeFailureChannel.name, listen)
  t.teardown(() => unsubscribe(storeFailureChannel.name, listen))
  const down = (): Promise<never> => Promise.reject(new StoreError('down', 'no connection'))
  const scene = new Scene({ store: { ...circuitBreaker(memoryStore()), known: down, hit: down } })
  await scene.write(['anna@example.net'])
  t.match(events, [{ policy: 'knownCorrespondents', error: { kind: 'down' } }])
  t.match(await scene.answer(), PASSED, 'greylist() is not asked either: accept by default')
  t.equal(events.length, 2)
})

t.test('options that are wrong', t => {
  const store = memoryStore()
  for (const [options, message] of [
    [{}, /store is a store/],
    [{ store, life: 0.5 }, /life is/],
    [{ store, perDay: 0 }, /perDay is/],
    [{ store, perday: 1 }, /did you mean perDay/],
    [{ store, clock: 1 }, /clock is/],
  ] as const) {
    t.throws(() => knownCorrespondents(options as never), { code: 'ERR_OPTION', message })
  }
  t.end()
})
