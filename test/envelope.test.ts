// envelope.id: one a transaction. envelope.signal: aborted when nobody waits for the transaction any more.

import t from 'tap'
import { Transaction, type Envelope, type Sender } from '../lib/smtp/envelope.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { converse, type Conversation } from '../lib/testing/conversation.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { address, begin, deliver, MAIL, quit } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { readAll, watchProcess } from './fixtures/hooks.ts'

watchProcess(t)

const sender = { address: 'a@b.example', parameters: Object.freeze({ size: 1 }) } as unknown as Sender

t.test('a transaction by itself', t => {
  const one = new Transaction(sender)
  const other = new Transaction(sender)
  t.equal(one.id, one.id)
  t.not(one.id, other.id)
  t.match(one.id, /^[\w-]{16,64}$/, 'fit for a file name')
  t.equal(one.parameters, sender.parameters)
  t.strictSame(one.recipients, [])
  t.equal(one.signal, one.signal)
  t.equal(one.signal.aborted, false)
  one.abort()
  t.equal(one.signal.aborted, true)
  t.equal(other.signal.aborted, false)
  other.abort()
  t.equal(other.signal.aborted, true, 'also if it is asked for afterwards')
  other.abort()
  t.throws(() => Object.assign(one, { sender: null }), TypeError)
  t.throws(() => Object.assign(one, { id: 'x' }), TypeError)
  t.end()
})

t.test('one id a transaction, the same for all hooks', async t => {
  const log: (string | undefined)[] = []
  const note = ({ envelope }: { readonly envelope: Envelope | null }): void => void log.push(envelope?.id)
  const options: SmtpHandlerOptions = {
    onMailFrom: (_, session) => note(session),
    policies: [{ onRcptTo: (_, session) => note(session), onData: note }],
    onReset: note,
    async onMessage(message, session) {
      note(session)
      await readAll(message)
      note(session)
    },
  }
  const ids = new Set<string>()
  for (let session = 0; session < 2; session++) {
    const c = await begin(new SmtpHandler(options))
    for (let mail = 0; mail < 3; mail++) {
      log.length = 0
      await address(c, 'one@example.org', 'two@example.org')
      if (mail === 1) await c.command('RSET', 250)
      else await deliver(c, 250)
      const [mailFrom, first, ...others] = log
      t.equal(mailFrom, undefined, 'MAIL is not accepted yet')
      t.equal(log.at(-1), undefined, 'it is over at onReset')
      t.type(first, 'string')
      t.strictSame(new Set(others.slice(0, -1)), new Set([first]))
      t.notOk(ids.has(first!), 'another transaction had another one')
      ids.add(first!)
    }
    await quit(c)
  }
  t.equal(ids.size, 6)
})

// ── The verdict ──

t.test('the verdict is there in onReset, for each recipient in LMTP, and only if a message had one', async t => {
  let envelope: Envelope | null = null
  const seen: number[][] = []
  const looks = {
    onRcptTo: (_: unknown, session: { readonly envelope: Envelope }) => void (envelope = session.envelope),
    onReset: () => void seen.push(envelope!.verdict.map(({ code }) => code)),
  }
  const answers: Record<string, SmtpHandlerOptions['onMessage']> = {
    taken: readAll,
    refused: () => NO,
    each: () => [reply(250, 'OK'), NO],
    slowly: async function* () {
      yield NO
      yield reply(250, 'OK')
    } as never,
  }
  for (const [name, lmtp, expected] of [
    ['taken', false, [250]],
    ['refused', false, [550]],
    ['taken', true, [250, 250]],
    ['each', true, [250, 550]],
    ['slowly', true, [550, 250]],
  ] as [string, boolean, number[]][]) {
    const c = converse(new SmtpHandler({ lmtp, policies: [looks], onMessage: answers[name] } as SmtpHandlerOptions))
    await c.expect(220)
    await c.command(`${lmtp ? 'LHLO' : 'EHLO'} c.example`, 250)
    await address(c, 'one@example.org', 'two@example.org')
    t.strictSame(envelope!.verdict, [])
    await c.command('DATA', 354)
    await c.data(MAIL)
    for (const code of expected) await c.expect(code)
    t.strictSame(seen.splice(0), [expected], `${name} ${lmtp}`)
    t.throws(() => (envelope!.verdict as Reply[]).push(NO), TypeError)
    await address(c)
    await c.command('RSET', 250)
    t.strictSame(seen.splice(0), [[]], 'RSET')
    await quit(c)
  }
})

// ── The signal ──

const NO = reply(550, '5.7.1', 'No')

interface Scene {
  readonly options?: SmtpHandlerOptions
  /** What happens after RCPT, with what onRcptTo was given: not aborted until `ends`. */
  readonly goOn?: (c: Conversation, clock: FakeClock) => Promise<unknown>
  readonly ends: (c: Conversation, clock: FakeClock) => Promise<unknown>
  /** What the session's own signal is then. */
  readonly isSessionOver?: boolean
}

const never = (): Promise<never> => new Promise(() => {})
const beginData = async (c: Conversation): Promise<void> => void (await c.command('DATA', 354))
const sendData = async (c: Conversation): Promise<void> => {
  await beginData(c)
  await c.send(`${MAIL}.`)
}

const SCENES: Record<string, Scene> = {
  RSET: { ends: c => c.command('RSET', 250) },
  'a new EHLO': { ends: c => c.command('EHLO again.example', 250) },
  'the verdict': {
    goOn: beginData,
    ends: async c => {
      await c.data(MAIL)
      return c.expect(250)
    },
  },
  'a refusal after the end of data': {
    options: { onMessage: () => NO },
    goOn: beginData,
    ends: async c => {
      await c.data(MAIL)
      return c.expect(550)
    },
  },
  'a refusal of onData leaves it, RSET ends it': {
    options: { onMessage: readAll, onData: () => NO },
    goOn: c => c.command('DATA', 550),
    ends: c => c.command('RSET', 250),
  },
  'RSET in a BDAT sequence': { goOn: c => c.command('BDAT 3\r\nx', 250), ends: c => c.command('RSET', 250) },
  'the last BDAT': { goOn: c => c.command('BDAT 3\r\nx', 250), ends: c => c.command('BDAT 0 LAST', 250) },
  'a verdict that takes too long': {
    options: { onMessage: never },
    goOn: async (c, clock) => {
      await sendData(c)
      return clock.tick(539_999)
    },
    ends: async (c, clock) => {
      await clock.tick(1)
      return c.expect(451)
    },
  },
  QUIT: { ends: c => c.command('QUIT', 221), isSessionOver: true },
  'a reset connection': { ends: async c => c.reset(), isSessionOver: true },
  'a reset connection in the mail data': { goOn: beginData, ends: async c => c.reset(), isSessionOver: true },
  'a half-closed connection in the mail data': {
    goOn: async c => {
      await beginData(c)
      return c.write('x')
    },
    ends: async c => {
      c.end()
      await c.closed()
    },
    isSessionOver: true,
  },
  'a reset connection while the verdict is awaited': {
    options: { onMessage: never },
    goOn: sendData,
    ends: async c => c.reset(),
    isSessionOver: true,
  },
  'time that is up in the mail data': {
    goOn: async (c, clock) => {
      await beginData(c)
      return clock.tick(179_999)
    },
    ends: async (c, clock) => {
      await clock.tick(1)
      c.expect(421)
      return c.closed()
    },
    isSessionOver: true,
  },
}

for (const [name, { options: own = {}, goOn, ends, isSessionOver = false }] of Object.entries(SCENES)) {
  t.test(`the signal is aborted, once, by ${name}`, async t => {
    const clock = new FakeClock()
    let aborts = 0
    let envelope: Envelope | null = null
    const handler = new SmtpHandler({
      onMessage: readAll,
      clock,
      handleError() {},
      ...own,
      onRcptTo(_, session) {
        envelope = session.envelope
        session.envelope.signal.addEventListener('abort', () => (aborts += 1))
      },
    } as SmtpHandlerOptions)
    const { signal } = handler.session
    const c = await begin(handler)
    await address(c)
    await goOn?.(c, clock)
    await settle()
    t.equal(aborts, 0, 'not before')
    await ends(c, clock)
    await settle()
    if (name === 'QUIT') await c.closed()
    t.equal(aborts, 1)
    t.equal((envelope as Envelope | null)?.signal.aborted, true)
    t.equal(signal.aborted, isSessionOver, 'the session')
    if (isSessionOver) return
    await address(c)
    t.equal(handler.session.envelope?.signal.aborted, false, 'the next transaction has one of its own')
    await quit(c)
  })
}

t.test('a transaction that is over and was never asked for its signal', async t => {
  let envelope: Envelope | null = null
  const handler = new SmtpHandler({ onMessage: readAll, onRcptTo: (_, session) => void (envelope = session.envelope) })
  const c = await begin(handler)
  await address(c)
  await deliver(c, 250)
  t.equal((envelope as Envelope | null)?.signal.aborted, true)
  await quit(c)
})
