// session.ending: how a session ended, in each way that it can. Null while it goes on.

import t from 'tap'
import type { SessionOptions } from '../lib/smtp/options.ts'
import type { TakingHook } from '../lib/smtp/hooks.ts'
import type { SessionEnding } from '../lib/smtp/session.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { converse, type Conversation } from '../lib/testing/conversation.ts'
import { connect } from '../lib/testing/duplex-pair.ts'
import { reply } from '../lib/words/reply.ts'
import { address, begin, MAIL } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { readAll as onMessage, watchProcess } from './fixtures/hooks.ts'

watchProcess(t)

type Options = SessionOptions & TakingHook

interface Scene {
  readonly ending: SessionEnding
  readonly options?: Options
  /** True: nothing was read or said before, not even the greeting. */
  readonly early?: boolean
  readonly end: (c: Conversation, handler: SmtpHandler, clock: FakeClock) => unknown
}

const GOODBYE = reply(421, '4.3.2', 'Shutting down')
const never = (): Promise<never> => new Promise(() => {})

async function lines(c: Conversation, ...given: readonly [string, number][]): Promise<void> {
  for (const [line, code] of given) await c.command(line, code)
}

async function beginData(c: Conversation): Promise<void> {
  await address(c)
  await c.command('DATA', 354)
}

const SCENES: Record<string, Scene> = {
  // ── quit ──
  QUIT: { ending: 'quit', end: c => c.command('QUIT', 221) },
  'QUIT, and the client resets before it has read the reply': {
    ending: 'quit',
    end: async c => {
      await c.send('QUIT')
      return c.reset()
    },
  },
  'QUIT in a transaction': {
    ending: 'quit',
    end: async c => {
      await address(c)
      return c.command('QUIT', 221)
    },
  },
  'QUIT after a greeting that refused': {
    ending: 'quit',
    early: true,
    options: { onConnect: () => reply(554, '5.7.1', 'No') },
    end: async c => {
      await c.expect(554)
      return lines(c, ['EHLO a.example', 503], ['QUIT', 221])
    },
  },
  'QUIT while the server shuts down, in a transaction': {
    ending: 'quit',
    end: async (c, handler) => {
      await address(c)
      handler.shutDown(GOODBYE)
      await c.command('QUIT', 221)
    },
  },
  'QUIT after a verdict that timed out': {
    ending: 'quit',
    options: { onMessage: never },
    end: async (c, handler, clock) => {
      await beginData(c)
      await c.send(`${MAIL}.`)
      await clock.tick(540_000)
      await c.expect(451)
      t.equal(handler.session.ending, null, 'the session goes on')
      await c.command('NOOP', 250)
      await c.command('QUIT', 221)
    },
  },

  // ── lost ──
  'a reset connection': { ending: 'lost', end: c => c.reset() },
  'a reset connection, with an error': { ending: 'lost', end: c => c.reset(new Error('ECONNRESET')) },
  'a half-closed connection': { ending: 'lost', end: c => c.end() },
  'a reset in mail data': {
    ending: 'lost',
    end: async c => {
      await beginData(c)
      c.write('x')
      return c.reset()
    },
  },
  'a half-close in mail data': {
    ending: 'lost',
    end: async c => {
      await beginData(c)
      c.write('x')
      return c.end()
    },
  },
  'a reset while a hook thinks': {
    ending: 'lost',
    options: { onMailFrom: never },
    end: async c => {
      await c.send('MAIL FROM:<a@b.example>')
      return c.reset()
    },
  },
  'a reset before the greeting is read': { ending: 'lost', early: true, end: c => c.reset() },

  // ── limit ──
  'limits.errors': {
    ending: 'limit',
    options: { limits: { errors: 2 } },
    end: c => lines(c, ['X', 500], ['X', 500], ['X', 421]),
  },
  'limits.transactions': {
    ending: 'limit',
    options: { limits: { transactions: 1 } },
    end: async c => {
      await beginData(c)
      await c.data(MAIL)
      await c.expect(250)
      await c.command('MAIL FROM:<a@b.example>', 421)
    },
  },
  'timeouts.idle': { ending: 'limit', end: (_, __, clock) => clock.tick(300_000) },
  'timeouts.command': {
    ending: 'limit',
    options: { timeouts: { command: 1000 } },
    end: async (c, _, clock) => {
      c.write('NOO')
      await clock.tick(1000)
    },
  },
  'timeouts.greeting': {
    ending: 'limit',
    early: true,
    end: async (c, _, clock) => {
      await c.expect(220)
      return clock.tick(60_000)
    },
  },
  'timeouts.data': {
    ending: 'limit',
    end: async (c, _, clock) => {
      await beginData(c)
      return clock.tick(180_000)
    },
  },
  "DATA past the size, with oversize: 'close'": {
    ending: 'limit',
    options: { size: 10, oversize: 'close' },
    end: async c => {
      await beginData(c)
      c.write('x'.repeat(11))
      return c.expect(552)
    },
  },
  "BDAT past the size, with oversize: 'close'": {
    ending: 'limit',
    options: { size: 10, oversize: 'close' },
    end: async c => {
      await address(c)
      return c.command('BDAT 11 LAST', 552)
    },
  },

  // ── shutdown ──
  'shutDown between transactions': { ending: 'shutdown', end: (_, handler) => handler.shutDown(GOODBYE) },
  'shutDown in a transaction': {
    ending: 'shutdown',
    end: async (c, handler) => {
      await beginData(c)
      handler.shutDown(GOODBYE)
      await c.data(MAIL)
      await c.expect(250)
      await c.expect(421)
    },
  },
  'shutDown, and hangUp when its time is over': {
    ending: 'shutdown',
    end: async (c, handler) => {
      await beginData(c)
      handler.shutDown(GOODBYE)
      handler.hangUp(GOODBYE)
      await c.expect(421)
    },
  },

  // ── closed ──
  'hangUp without a reply': { ending: 'closed', end: (_, handler) => handler.hangUp() },
  'hangUp with a reply': { ending: 'closed', end: (_, handler) => handler.hangUp(reply(421, '4.3.0', 'Gone')) },
  'breakConnection between two commands': { ending: 'closed', end: (_, handler) => (handler.breakConnection = true) },
  'breakConnection in a command': {
    ending: 'closed',
    options: {
      onMailFrom(this: SmtpHandler) {
        this.breakConnection = true
      },
    } as Options,
    end: c => c.command('MAIL FROM:<a@b.example>', 250),
  },
  'a 421 of a hook': {
    ending: 'closed',
    options: { onMailFrom: () => reply(421, '4.7.0', 'Go away') },
    end: c => c.command('MAIL FROM:<a@b.example>', 421),
  },
  'a 421 as the greeting': {
    ending: 'closed',
    early: true,
    options: { onConnect: () => reply(421, '4.7.0', 'Busy') },
    end: c => c.expect(421),
  },
  HTTP: {
    ending: 'closed',
    early: true,
    end: async c => {
      await c.expect(220)
      return c.command('GET / HTTP/1.1', 521)
    },
  },
  'unlawful pipelining': {
    ending: 'closed',
    end: async c => {
      await address(c)
      c.write('DATA\r\nNOOP\r\n')
      return c.expect(503)
    },
  },
  'a BDAT that cannot be counted': { ending: 'closed', end: c => c.command('BDAT x', 521) },
}

for (const [name, { ending, options = {}, early = false, end }] of Object.entries(SCENES)) {
  t.test(`${ending}: ${name}`, async t => {
    const clock = new FakeClock()
    const seen: unknown[] = []
    const handler = new SmtpHandler({
      onMessage,
      clock,
      handleError() {},
      ...options,
      onClose: session => void seen.push(session.ending),
    })
    t.equal(handler.session.ending, null)
    const client = connect(handler)
    const c = early ? converse(client) : await begin(client)
    t.equal(handler.session.ending, null, 'it goes on')
    await end(c, handler, clock)
    await settle()
    client.on('error', () => {})
    client.end()
    await settle()
    if (!handler.closed) await clock.tick(10_000)
    await settle()
    t.strictSame(seen, [ending], 'onClose knows')
    t.equal(handler.session.ending, ending)
    t.equal(handler.session.ended, true)
  })
}
