// How often a client may do something, counted in a store.

import t from 'tap'
import { rateLimit, type RateLimitOptions } from '../lib/policies/rate-limit.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { circuitBreaker } from '../lib/stores/circuit-breaker.ts'
import { memoryStore } from '../lib/stores/memory-store.ts'
import { StoreError } from '../lib/stores/store-error.ts'
import { FakeClock } from '../lib/testing/fake-clock.ts'
import { converse } from '../lib/testing/conversation.ts'
import { reply } from '../lib/words/reply.ts'

const MINUTE = 60_000

interface Visit {
  readonly client?: string
  readonly user?: string
  readonly trusted?: boolean
  readonly to?: number
}

class Scene {
  readonly clock = new FakeClock()
  readonly store = memoryStore({ clock: { now: () => this.clock.wallTime() } })
  readonly #options: Partial<RateLimitOptions>

  constructor(options: Partial<RateLimitOptions>) {
    this.#options = options
  }

  /** A session of another process each time; its replies. */
  async visit({ client = '192.0.2.7', user, trusted = false, to = 1 }: Visit = {}): Promise<string> {
    const handler = new SmtpHandler({
      client: { address: client, port: 1 },
      auth: { insecure: true },
      policies: [
        { onConnect: session => void (session.trusted = trusted ? 'test' : null), onAuth: () => reply(235, 'OK') },
        rateLimit({ store: this.store, clock: this.clock, ...this.#options }),
      ],
      onMessage() {},
    })
    const c = converse(handler)
    const codes: number[] = []
    const note = async (line: string): Promise<number> => {
      const { code, text } = await c.command(line)
      codes.push(code)
      if (code >= 400) this.last = text
      return code
    }
    const { code, text } = await c.expect()
    if (code !== 220) {
      this.last = text
      c.end()
      await c.closed()
      return String(code)
    }
    await c.command('EHLO c.example', 250)
    if (user !== undefined) await c.command(`AUTH PLAIN ${Buffer.from(`\0${user}\0s`).toString('base64')}`, 235)
    if ((await note('MAIL FROM:<a@example.net>')) === 250) {
      for (let i = 0; i < to; i++) await note(`RCPT TO:<r${i}@example.org>`)
    }
    await c.command('QUIT', 221)
    await c.closed()
    return codes.join(' ')
  }

  last = ''
}

t.test('connections: 421 in the place of the greeting, across sessions', async t => {
  const scene = new Scene({ connections: { limit: 3, per: MINUTE } })
  for (let i = 0; i < 3; i++) t.equal(await scene.visit(), '250 250')
  t.equal(await scene.visit(), '421')
  t.equal(scene.last, '421 4.7.0 Too many connections, try again in 20 seconds')
  t.equal(await scene.visit({ client: '192.0.2.8' }), '250 250', 'another client')
  t.equal(await scene.visit({ client: '::ffff:192.0.2.7' }), '421', 'the same one')
  await scene.clock.tick(20_000)
  t.equal(await scene.visit(), '250 250')
  t.equal(await scene.visit(), '421')
})

t.test('messages and recipients, of a network', async t => {
  const scene = new Scene({ messages: { limit: 2, per: MINUTE }, recipients: { limit: 5, per: MINUTE } })
  t.equal(await scene.visit({ client: '2001:db8::1', to: 3 }), '250 250 250 250')
  t.equal(await scene.visit({ client: '2001:db8::2', to: 3 }), '250 250 250 451', 'one /64')
  t.match(scene.last, /^451 4\.7\.1 Too many recipients, try again in 12 seconds$/)
  t.equal(await scene.visit({ client: '2001:db8::3' }), '451')
  t.match(scene.last, /^451 4\.7\.1 Too many messages/)
  t.equal(await scene.visit({ client: '2001:db8:0:1::3' }), '250 250')
  const wide = new Scene({ messages: { limit: 1, per: MINUTE }, prefixes: { v4: 24 } })
  t.equal(await wide.visit({ client: '192.0.2.1' }), '250 250')
  t.equal(await wide.visit({ client: '192.0.2.200' }), '451')
})

t.test('a user is counted by name, wherever it comes from', async t => {
  const scene = new Scene({ messages: { limit: 2, per: MINUTE } })
  t.equal(await scene.visit({ user: 'anna', client: '192.0.2.1' }), '250 250')
  t.equal(await scene.visit({ user: 'anna', client: '198.51.100.1' }), '250 250')
  t.equal(await scene.visit({ user: 'anna', client: '203.0.113.1' }), '451')
  t.equal(await scene.visit({ user: 'bob', client: '192.0.2.1' }), '250 250')
})

t.test('who is not counted', async t => {
  const scene = new Scene({ connections: { limit: 1, per: MINUTE }, except: ['10.0.0.0/8'] })
  for (let i = 0; i < 3; i++) {
    t.equal(await scene.visit({ client: '10.1.2.3' }), '250 250')
    t.equal(await scene.visit({ trusted: true }), '250 250')
  }
  t.equal((await scene.store.stats()).rates, 0)
})

t.test('a store that fails: accept by default, or defer', async t => {
  const store = {
    ...circuitBreaker(memoryStore()),
    hit: () => Promise.reject(new StoreError('down', 'no connection')),
  }
  const rates = { connections: { limit: 1, per: MINUTE }, messages: { limit: 1, per: MINUTE } }
  for (let i = 0; i < 3; i++) t.equal(await new Scene({ ...rates, store }).visit(), '250 250')
  t.equal(await new Scene({ ...rates, store, onStoreError: 'defer' }).visit(), '421')
  const { messages } = rates
  t.equal(await new Scene({ messages, store, onStoreError: 'defer' }).visit(), '451')
})

t.test('options that are wrong', t => {
  const store = memoryStore()
  const rate = { limit: 1, per: 1000 }
  for (const [options, message] of [
    [{ messages: rate }, /store is a store/],
    [{ store }, /set at least one of connections, messages, recipients/],
    [{ store, message: rate }, /did you mean messages/],
    [{ store, messages: { limit: 1, pre: 1 } }, /messages\.pre: there is no such option/],
    [{ store, messages: { limit: 0, per: 1 } }, /messages\.limit is a whole number/],
    [{ store, messages: { limit: 1, per: 0.5 } }, /messages\.per is a whole number/],
    [{ store, messages: { limit: 2000, per: 1 } }, /at most 1,000,000 in a second/],
    [{ store, messages: rate, except: ['x'] }, /network "x"/],
    [{ store, messages: rate, prefixes: { v4: 33 } }, /v4/],
    [{ store, messages: rate, onStoreError: 'x' }, /onStoreError is one of/],
    [{ store, messages: rate, clock: {} }, /clock is/],
  ] as const) {
    t.throws(() => rateLimit(options as never), { code: 'ERR_OPTION', message }, String(message))
  }
  t.end()
})
