// The turns of the event loop: sessions share them, so nobody who sends without end keeps others from being answered.
// Time is counted in turns, never in milliseconds; what the sessions read from the clock is made by the test, since a
// process that the system stops for a moment would have spent the time of a turn.

import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { Policy } from '../lib/smtp/hooks.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import { callAtTurnEnd, mayStep, Share, waitForTurn } from '../lib/stream/turn.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { settle } from './fixtures/fake-clock.ts'
import { stoppedClock, type Spending } from './fixtures/stopped-clock.ts'

const SESSIONS = 40
const COMMANDS = 10_000

/** Turns of the event loop after which a single command of another session is answered. */
const WITHIN = 2

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

// ── turn.ts, on a clock that stands still ──

/** Spends what the turn has for new input. */
function spendTurn({ spend }: Spending): void {
  for (let i = 0; i < 100 && mayStep(); i++) spend(1)
}

function waitWith(goOn: () => void): Share {
  const share = new Share(goOn)
  waitForTurn(share)
  return share
}

t.test('mayStep: true until the budget of the turn is spent, and true again in the next turn', async t => {
  const { spend } = await stoppedClock(t)
  t.equal(mayStep(), true)
  t.equal(mayStep(), true)
  spend(2)
  t.equal(mayStep(), true)
  t.equal(mayStep(), true, 'the clock is read before every fourth step')
  t.equal(mayStep(), false)
  t.equal(mayStep(), false, 'nor may any other session')
  await turns(1)
  t.equal(mayStep(), true)
})

t.test('waitForTurn: each gets a share, the first step of it always; all in order', async t => {
  spendTurn(await stoppedClock(t))
  const log: number[] = []
  for (let i = 0; i < 100; i++) {
    waitWith(() => {
      t.equal(mayStep(), true)
      log.push(i)
    })
  }
  t.strictSame(log, [], 'not in this turn')
  await turns(1)
  t.strictSame(
    log,
    Array.from({ length: 100 }, (_, i) => i),
  )
})

/** A session that takes `milliseconds` of each share, and always has more to do. */
function greedy(name: string, milliseconds: number, log: string[], { spend }: Spending): { stop(): void } {
  let goesOn = true
  const share: Share = waitWith(() => {
    log.push(name)
    spend(milliseconds)
    if (goesOn) waitForTurn(share)
  })
  return { stop: () => (goesOn = false) }
}

t.test('for those that have had nothing yet a turn takes longer, but not without end', async t => {
  const clock = await stoppedClock(t)
  const log: string[] = []
  const all = ['a', 'b', 'c', 'd', 'e', 'f'].map(name => greedy(name, 4, log, clock))
  await turns(1)
  t.strictSame(log.splice(0), ['a', 'b', 'c'], 'each of 4 ms, until 10 are over')
  await turns(1)
  t.strictSame(log.splice(0), ['d', 'e', 'f'])
  await turns(1)
  t.strictSame(log, ['a'], 'then the turn goes by the time')
  for (const each of all) each.stop()
  await turns(8)
})

t.test('who has had least time comes first, before those who have waited longer', async t => {
  const clock = await stoppedClock(t)
  const log: string[] = []
  const all = [3, 4, 5].map(milliseconds => greedy(`${milliseconds} ms`, milliseconds, log, clock))
  await turns(1)
  t.strictSame(log.splice(0), ['3 ms', '4 ms', '5 ms'])
  const newcomer = waitWith(() => log.push('newcomer'))
  t.equal(newcomer.isWaiting, true)
  await turns(1)
  t.strictSame(log.splice(0), ['newcomer', '3 ms'])
  t.equal(newcomer.isWaiting, false)
  await turns(3)
  t.strictSame(log.splice(0), ['4 ms', '5 ms', '3 ms'], '6 ms, 4, 5; then 6, 8, 5; then 6, 8, 10')
  for (const each of all) each.stop()
  await turns(5)
})

t.test('newcomers without end keep nobody waiting for longer than two periods', async t => {
  const clock = await stoppedClock(t)
  const log: string[] = []
  const heavy = greedy('heavy', 50, log, clock)
  await turns(1)
  let newcomers = 0
  while (log.length < 2 && newcomers < 1000) {
    waitWith(() => clock.spend(10)) // has had nothing, and takes all of the turn
    newcomers += 1
    await turns(1)
  }
  heavy.stop()
  t.equal(log.length, 2)
  t.ok(newcomers > 10 && newcomers <= 22, `${newcomers} were before it, 10 ms each`)
  await turns(3)
})

t.test('a share ends when its time is spent', async t => {
  const { spend } = await stoppedClock(t)
  let steps = 0
  waitWith(() => {
    for (; mayStep() && steps < 100; steps++) spend(0.4)
  })
  waitWith(() => {})
  await turns(1)
  t.equal(steps, 3, 'half of 2 ms are 3 steps of 0.4 ms')
})

t.test('callAtTurnEnd: once, after the shares of the turn', async t => {
  spendTurn(await stoppedClock(t))
  const log: string[] = []
  callAtTurnEnd({ turnEnds: () => void log.push('end') })
  waitWith(() => {
    log.push('share')
    callAtTurnEnd({ turnEnds: () => void log.push('end of the same turn') })
  })
  await turns(3)
  t.strictSame(log, ['share', 'end', 'end of the same turn'])
})

// ── The loop ──

interface Flood {
  readonly handler: MailHandler
  readonly replies: () => number
}

/** A session that reads its replies, and counts those with this code. */
function session(handler: MailHandler, code: number): Flood {
  let count = 0
  const line = new RegExp(`^${code} `, 'gm')
  handler.on('data', (octets: Buffer) => (count += octets.toString().match(line)?.length ?? 0))
  return { handler, replies: () => count }
}

const LIMITS = {
  errors: Infinity,
  softErrors: Infinity,
  junkCommands: Infinity,
  recipients: Infinity,
  deferrals: Infinity,
}

function smtp(policy?: Policy): SmtpHandler {
  const policies = policy === undefined ? [] : [policy]
  return new SmtpHandler({ limits: LIMITS, policies, onMessage() {}, unlawfulPipelining: 'allow' })
}

const GREYLISTED = reply(451, '4.7.1', 'Greylisted')
const TRANSACTION = 'EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n'

/** Milliseconds for a look at the clock, which comes before a step in a share, and before every fourth one elsewhere. */
const A_LOOK = 1 / 64

/** A single command of another session is answered within two turns: asked several times while `isBusy`. */
async function probe(t: Tap, isBusy: () => boolean): Promise<void> {
  const quiet = session(smtp(), 250)
  let late = 0
  let asked = 0
  const ask = async (line: string) => {
    quiet.handler.write(line)
    asked += 1
    await turns(WITHIN)
    if (quiet.replies() !== asked) late += 1
    while (quiet.replies() !== asked) await turns(1)
  }
  await ask('EHLO c.example\r\n')
  for (let i = 1; isBusy() && i < 50; i++) {
    await ask('NOOP\r\n')
    await turns(i % 3)
  }
  t.equal(late, 0, `${late} of ${asked} were answered later than after ${WITHIN} turns`)
  quiet.handler.destroy()
}
type Tap = { equal(a: unknown, b: unknown, message: string): unknown }

interface Load {
  readonly code: number
  readonly policy?: Policy
  readonly before?: string
  readonly line: string
}

const LOADS: Record<string, Load> = {
  NOOP: { code: 250, line: 'NOOP\r\n' },
  'an unknown command': { code: 500, line: 'X\r\n' },
  'RCPT, refused at once': {
    code: 451,
    policy: { onRcptTo: () => GREYLISTED },
    before: TRANSACTION,
    line: 'RCPT TO:<a@b.example>\r\n',
  },
  'RCPT, refused later': {
    code: 451,
    policy: { onRcptTo: async () => GREYLISTED },
    before: TRANSACTION,
    line: 'RCPT TO:<a@b.example>\r\n',
  },
}

for (const [name, { code, policy, before = 'EHLO c.example\r\n', line }] of Object.entries(LOADS)) {
  for (const isOneWrite of [true, false]) {
    const count = isOneWrite ? COMMANDS : COMMANDS / 10
    const writes = isOneWrite ? 'one write' : 'a write for each'
    t.test(`${SESSIONS} sessions, ${count} times ${name}, in ${writes}: another is answered in two turns`, async t => {
      await stoppedClock(t, A_LOOK)
      const floods = Array.from({ length: SESSIONS }, () => session(smtp(policy), code))
      for (const { handler } of floods) handler.write(before)
      await settle()
      const start = floods.map(({ replies }) => replies())
      for (const { handler } of floods) {
        if (isOneWrite) handler.write(line.repeat(count))
        else for (let i = 0; i < count; i++) handler.write(line)
      }
      const answered = () => floods.every(({ replies }, i) => replies() === start[i]! + count)
      await probe(t, () => !answered())
      if (!name.endsWith('later')) {
        while (!answered()) await turns(10)
        await settle()
        t.ok(answered(), 'each command has one reply')
      }
      for (const { handler } of floods) handler.destroy()
    })
  }
}

t.test(`${SESSIONS} sessions of mail data without end: another is answered in two turns`, async t => {
  await stoppedClock(t, A_LOOK)
  const floods = Array.from({ length: SESSIONS }, () => reading(() => {}).resume())
  const piece = Buffer.from('..\r\n'.repeat(16_384))
  const flood = (handler: MailHandler) =>
    handler.write(piece, () => setImmediate(() => handler.destroyed || flood(handler)))
  for (const handler of floods) {
    handler.write(`${ENVELOPE}DATA\r\n`)
    flood(handler)
  }
  await settle()
  await probe(t, () => true)
  for (const handler of floods) handler.destroy()
})

t.test('sessions that flood get equal shares', async t => {
  await stoppedClock(t, A_LOOK)
  const floods = Array.from({ length: 8 }, () => session(smtp(), 250))
  for (const { handler } of floods) handler.write('EHLO c.example\r\n')
  await settle()
  for (const { handler } of floods) handler.write('NOOP\r\n'.repeat(50_000))
  const counts = () => floods.map(({ replies }) => replies())
  while (Math.max(...counts()) < 20_000) await turns(1)
  t.ok(Math.min(...counts()) > 1000, `${counts().join(' ')}: none waits until another has finished`)
  for (const { handler } of floods) handler.destroy()
})

/**
 * Milliseconds of a turn for new input and for the shares of those that wait, twice 2, with the steps before the clock is
 * read again, and one that each of ten sessions has under way.
 */
const MOST_STEPS = 2 * (2 + 4) + 10

/** Each step takes a millisecond; returns the most steps that any turn had until there were `count`. */
async function mostStepsInATurn(
  { spend }: Spending,
  count: number,
  start: (step: () => void) => void,
): Promise<number> {
  let steps = 0
  start(() => {
    spend(1)
    steps += 1
  })
  await turn()
  let most = 0
  for (let total = steps; total < count; total = steps) {
    await turn()
    most = Math.max(most, steps - total)
  }
  return most
}

class Asking extends MailHandler {
  readonly #step: () => void

  constructor(step: () => void) {
    super()
    this.#step = step
  }

  override async handleNoop(): Promise<Reply> {
    for (;;) {
      await this.prompt(reply(334, 'more'))
      this.#step()
    }
  }
}

/** Reads a message, with a step for each piece. */
function reading(step: () => void): SmtpHandler {
  return new SmtpHandler({
    limits: LIMITS,
    size: 0,
    unlawfulPipelining: 'allow',
    onMessage: message => new Promise(resolve => message.on('data', step).on('end', resolve)),
  })
}

const ENVELOPE = `${TRANSACTION}RCPT TO:<c@d.example>\r\n`
/** More than a Body holds: one is given to the reader before the next is taken. */
const PIECE_OCTETS = 20_000
const PIECE = 'x'.repeat(PIECE_OCTETS)

/** The handler, what it is sent before, and what is sent many times: each a step. */
const STEPS: Record<string, [(step: () => void) => MailHandler, before: string, again: string]> = {
  'commands, answered at once': [step => new MailHandler({ handleNoop: () => step() }), '', 'NOOP\r\n'],
  'commands, answered later': [step => new MailHandler({ handleNoop: async () => step() }), '', 'NOOP\r\n'],
  'answers to prompts': [step => new Asking(step), 'NOOP\r\n', 'x\r\n'],
  'pieces of DATA': [reading, `${ENVELOPE}DATA\r\n\r\n`, PIECE],
  'pieces of BDAT': [reading, `${ENVELOPE}BDAT ${1000 * PIECE_OCTETS} LAST\r\n\r\n`, PIECE],
  'BDAT commands': [reading, ENVELOPE, `BDAT ${PIECE_OCTETS}\r\n\r\n${PIECE.slice(2)}`],
}

for (const [name, [make, before, again]] of Object.entries(STEPS)) {
  t.test(`a turn has no more steps than its time allows: ${name}`, async t => {
    const clock = await stoppedClock(t)
    for (const sessions of [1, 10]) {
      for (const isOneWrite of [true, false]) {
        if (isOneWrite && name.startsWith('pieces')) continue // one write is one piece
        const handlers: MailHandler[] = []
        const most = await mostStepsInATurn(clock, 100, step => {
          for (let i = 0; i < sessions; i++) handlers.push(make(step).resume())
          for (const handler of handlers) handler.write(before)
          for (const handler of handlers) {
            if (isOneWrite) handler.write(again.repeat(200))
            else for (let i = 0; i < 200; i++) handler.write(again)
          }
        })
        const shown = `${sessions} sessions, ${isOneWrite ? 'one write' : 'a write for each'}: ${most} steps`
        t.ok(most <= MOST_STEPS, shown)
        for (const handler of handlers) handler.destroy()
      }
    }
  })
}

// ── Replies ──

/** What a session replied, write by write. */
async function replied(handler: MailHandler, wire: string, until: string): Promise<string[]> {
  const writes: string[] = []
  handler.on('data', octets => writes.push(String(octets)))
  await settle()
  writes.length = 0
  handler.write(wire)
  while (!writes.join('').includes(until)) await turns(1)
  await settle()
  return writes
}

t.test('a group of replies that fits a share leaves in one write', async t => {
  await stoppedClock(t)
  const policies: Record<string, Policy> = {
    'at once': { onRcptTo: () => {} },
    'a promise for each RCPT': { onRcptTo: async () => {} },
    'MAIL later': { onMailFrom: () => settle(2) },
  }
  const group = `MAIL FROM:<a@b.example>\r\n${'RCPT TO:<c@d.example>\r\n'.repeat(5)}DATA\r\n`
  for (const [name, policy] of Object.entries(policies)) {
    const handler = smtp(policy)
    handler.write('EHLO c.example\r\n')
    const writes = await replied(handler, group, '354')
    t.equal(writes.join('').match(/^(?:250|354)/gm)?.length, 7)
    t.equal(writes.length, 1, name)
    handler.destroy()
  }
})

t.test('order and number of replies are exact, at once or later, however the shares fall', async t => {
  for (const isLate of [false, true]) {
    const handler = new MailHandler({
      handleNoop({ argument }) {
        const answer = reply(250, argument)
        return isLate && Number(argument) % 3 === 0 ? Promise.resolve(answer) : answer
      },
    })
    const others = Array.from({ length: 5 }, () => session(smtp(), 250))
    for (const other of others) other.handler.write(`EHLO c.example\r\n${'NOOP\r\n'.repeat(5000)}`)
    const numbers = Array.from({ length: COMMANDS }, (_, i) => i)
    const wire = numbers.map(i => `NOOP ${i}\r\n`).join('')
    const writes = await replied(handler, wire, `250 ${COMMANDS - 1}\r\n`)
    const expected = numbers.map(i => `250 ${i}\r\n`).join('')
    t.ok(writes.join('').endsWith(expected), 'one reply for each, in order')
    t.equal(writes.join('').replace(/^220 .*\r\n/, ''), expected)
    for (const other of others) other.handler.destroy()
    handler.destroy()
  }
})

t.test('nothing is recursive: 100,000 commands in one write, and in a write for each', async t => {
  const count = 100_000
  for (const isLate of [false, true]) {
    for (const size of [count, 1]) {
      const flood = session(
        new MailHandler({ handleNoop: () => (isLate ? Promise.resolve(reply(250, 'OK')) : reply(250, 'OK')) }),
        250,
      )
      for (let i = 0; i < count; i += size) flood.handler.write('NOOP\r\n'.repeat(size))
      while (flood.replies() < count) await turns(10)
      await settle()
      t.equal(flood.replies(), count, `${isLate ? 'later' : 'at once'}, ${size} a write`)
      flood.handler.destroy()
    }
  }
})

t.test('replies that nobody reads stop the commands, and nothing is lost when they are read', async t => {
  const handler = new MailHandler({ handleNoop: () => reply(250, 'x'.repeat(100)) })
  handler.write('NOOP\r\n'.repeat(5000))
  await settle(20)
  t.ok(handler.readableLength < 100_000, `${handler.readableLength} octets wait`)
  const flood = session(handler, 250)
  while (flood.replies() < 5000) await turns(5)
  await settle()
  t.equal(flood.replies(), 5000)
  handler.destroy()
})
