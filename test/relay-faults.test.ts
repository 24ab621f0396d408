// The table of faults: what an upstream can do wrong at each step, what the client is told then, in what time, and how
// many copies arrive. No row accepts mail that did not arrive, and none hangs.

import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { RelayOptions } from '../lib/relay.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { freePort } from './fixtures/free-port.ts'
import { readText } from './fixtures/repository.ts'
import type { Answer, Script, ScriptedServer } from './fixtures/scripted-server.ts'
import { front, offers, startUpstream, type TestUpstream } from './fixtures/upstream.ts'

/** Milliseconds of a fake clock for each step of the relay. */
const LIMIT = 500
/** Milliseconds of it for a row: a few steps, once more on another connection. */
const PATIENCE = 8 * LIMIT

const TIMEOUTS = { open: LIMIT, command: LIMIT, data: LIMIT, block: LIMIT, end: LIMIT, quit: LIMIT } as const

/** A step of the upstream: how its script names it, and the code of its positive reply. */
interface Place {
  readonly at: string
  readonly code: number
  readonly script?: Script
  readonly options?: Partial<RelayOptions>
  /** Refusals of it are for the client. */
  readonly isRelayed?: boolean
  /** The message has been accepted before. */
  readonly isAfter?: boolean
  /** The message is whole by then, so it may have arrived though the client is told otherwise. [RFC 1047] */
  readonly isWhole?: boolean
}

const DATA = { EHLO: offers('PIPELINING', '8BITMIME') }
const BDAT = { EHLO: offers('PIPELINING', '8BITMIME', 'CHUNKING') }
const AUTH = { auth: { user: 'a', password: 'b', insecure: true } }

const PLACES: readonly Place[] = [
  { at: 'greeting', code: 220 },
  { at: 'EHLO', code: 250 },
  {
    at: 'STARTTLS',
    code: 220,
    script: { EHLO: offers('STARTTLS') },
    options: { tls: { mode: 'must', rejectUnauthorized: false } },
  },
  { at: 'AUTH', code: 235, script: { EHLO: offers('AUTH PLAIN') }, options: AUTH },
  { at: 'XCLIENT', code: 220, script: { EHLO: offers('PIPELINING', 'XCLIENT ADDR') } },
  { at: 'XFORWARD', code: 250, script: { EHLO: offers('PIPELINING', 'XFORWARD ADDR') } },
  { at: 'MAIL', code: 250, isRelayed: true },
  { at: 'MAIL', code: 250, isRelayed: true, script: { EHLO: offers('8BITMIME') } },
  { at: 'RCPT', code: 250, isRelayed: true },
  { at: 'DATA', code: 354, isRelayed: true },
  { at: 'end', code: 250, isRelayed: true, isWhole: true },
  { at: 'BDAT', code: 250, isRelayed: true, isWhole: true, script: BDAT },
  { at: 'RSET', code: 250, isAfter: true },
  { at: 'QUIT', code: 221, isAfter: true, options: { pool: { uses: 1 } } },
]

type Fault = (code: number, server: ScriptedServer) => string | void

const FAULTS: Readonly<Record<string, Fault>> = {
  'refuses for good': () => '550 5.1.1 No\r\n',
  'refuses for now': () => '450 4.2.1 Not now\r\n',
  hangs: () => '',
  closes: (_code, { socket }) => void socket.end(),
  resets: (_code, { socket }) => void (socket as Socket).resetAndDestroy(),
  rubbish: () => 'What is this?\r\n',
  'endless line': () => '2'.repeat(10_000),
  'half a reply': code => `${code}-first\r\n${code} sec`,
  'half a reply, closes': (code, server) => {
    server.say(`${code} OK`)
    server.socket.end()
  },
  'bare LF': code => `${code} OK\n`,
  'two replies': code => `${code} OK\r\n${code} OK\r\n`,
  'two replies, the second a refusal': code => `${code} OK\r\n550 5.1.1 No\r\n`,
  '252': () => '252 Perhaps\r\n',
  '354': () => '354 Go on\r\n',
  '299': () => '299 Well\r\n',
  '421': () => '421 4.3.2 Bye\r\n',
  '421, closes': (_code, server) => {
    server.say('421 4.3.2 Bye\r\n')
    server.socket.end()
  },
  'another code within': code => `${code}-a\r\n550 b\r\n`,
}

interface Outcome {
  /** The replies to MAIL, RCPT, DATA and the message, as far as they came. */
  readonly replies: readonly string[]
  readonly milliseconds: number
  readonly upstream: TestUpstream
}

const MESSAGE = 'Subject: x\r\n\r\nHello.\r\n'

/** The script; once it has answered anything, time goes on by a twentieth of the limit wherever nothing else does. */
function timed(t: Test, clock: FakeClock, script: Script): Script {
  const test = { isOver: false }
  t.teardown(() => (test.isOver = true))
  let isPassing = false
  const pass = async (): Promise<void> => {
    isPassing = true
    for (; !test.isOver; await clock.tick(LIMIT / 20)) await pause(2)
  }
  const answers = Object.entries(script).map(([verb, answer]): [string, Answer] => [
    verb,
    (line, server) => {
      if (!isPassing) void pass()
      return typeof answer === 'string' ? answer : answer(line, server)
    },
  ])
  return Object.fromEntries(answers)
}

/** One mail through the relay to the upstream with a fault, and QUIT, which has to be answered. */
async function play(t: Test, { script, options }: Partial<Place>, faulty: Script, parts = [MESSAGE]): Promise<Outcome> {
  const clock = new FakeClock()
  const upstream = await startUpstream(t, {
    ...DATA,
    XCLIENT: '220 mx\r\n',
    AUTH: '235 In\r\n',
    ...script,
    ...timed(t, clock, faulty),
  })
  const to = { host: '127.0.0.1', port: upstream.port, timeouts: TIMEOUTS, clock, ...options }
  const { c } = await front(t, to, { clock })
  const begun = clock.now()
  const replies: string[] = []
  for (const line of ['MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.org>', 'DATA']) {
    const { code, text } = await c.command(line)
    replies.push(text)
    if (code >= 400) break
  }
  if (replies.at(-1)!.startsWith('354')) {
    for (const part of parts) {
      c.write(part)
      await c.drained()
      await settle(10)
    }
    c.write('.\r\n')
    replies.push((await c.expect()).text)
  }
  const milliseconds = clock.now() - begun
  await c.command('QUIT', 221)
  await c.closed()
  await settle(10)
  return { replies, milliseconds, upstream }
}

// ── docs/faults.md has what the client heard in each cell ──

/** Fault → state → the code that the client heard last. */
const heard = new Map<string, Map<string, string>>()

function note(state: string, fault: string, told: string): void {
  const row = heard.get(fault) ?? new Map<string, string>()
  heard.set(fault, row.set(state, told.slice(0, 3)))
}

function table(): string {
  const states = [...PLACES.map((place, i) => nameOf(place, i)), 'in mail data', 'BDAT, not the last']
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`
  const rows = Object.keys(FAULTS).map(fault => {
    const row = heard.get(fault)
    return line([fault].concat(states.map(state => row?.get(state) ?? '')))
  })
  return [line(['fault'].concat(states)), line(['fault', ...states].map(() => '---'))].concat(rows).join('')
}

/** What holds in every row. */
function judge(
  t: Test,
  { replies, milliseconds, upstream }: Outcome,
  { isRelayed, isWhole }: Partial<Place>,
  row: string,
): void {
  const told = replies.at(-1)!
  const copies = upstream.messages.length
  t.ok(milliseconds < PATIENCE, `${row}: ${Math.round(milliseconds)} ms`)
  if (replies.length === 4 && told.startsWith('2')) t.equal(copies, 1, `${row}: accepted, and it arrived`)
  else if (isWhole !== true) t.equal(copies, 0, `${row}: ${told}`)
  else t.ok(copies <= 2, `${row}: ${told}, ${copies} copies`)
  if (told.startsWith('5')) t.ok(isRelayed && told.startsWith('550 5.1.1 No'), `${row}: ${told} is the upstream's`)
  t.ok(upstream.connections.length <= 3, `${row}: ${upstream.connections.length} connections`)
}

/** Faults that are none at this place, or come behind its reply. */
function isHarmless(fault: string, { at, code, isWhole, isAfter }: Place): boolean {
  if (isAfter === true || String(code) === fault) return true
  return isWhole === true && fault.startsWith('two replies') && at !== 'greeting'
}

/** Every fault, at the same time: most of the time is spent waiting. */
async function eachFault(run: (name: string, fault: Fault) => Promise<void>): Promise<void> {
  await Promise.all(Object.entries(FAULTS).map(([name, fault]) => run(name, fault)))
}

/** A step that comes twice is the second time without PIPELINING. */
function nameOf({ at }: Place, i: number): string {
  return PLACES.findIndex(place => place.at === at) < i ? `${at}, one by one` : at
}

for (const [i, place] of PLACES.entries()) {
  t.test(`${place.at} (${i})`, async t => {
    await eachFault(async (name, fault) => {
      const row = `${place.at}: ${name}`
      const outcome = await play(t, place, { [place.at]: (_line, server) => fault(place.code, server) })
      judge(t, outcome, place, row)
      const told = outcome.replies.at(-1)!
      note(nameOf(place, i), name, told)
      if (isHarmless(name, place)) t.match(told, /^250 /, row)
      else if (name === 'refuses for good' && place.isRelayed) t.equal(told, '550 5.1.1 No', row)
      else if (name === 'refuses for now' && place.isRelayed) t.equal(told, '450 4.2.1 Not now', row)
      else t.match(told, /^451 4\./, row)
    })
  })
}

t.test('connect', async t => {
  const refused = await front(t, {
    host: '127.0.0.1',
    port: await freePort(),
    timeouts: TIMEOUTS,
    clock: new FakeClock(),
  })
  await refused.c.command('MAIL FROM:<a@client.example>', 250)
  await refused.c.command('RCPT TO:<b@example.org>', /^451 4\.4\.1 /)
  const absent = await front(t, { path: '/nonexistent/socket', timeouts: TIMEOUTS, clock: new FakeClock() })
  await absent.c.command('MAIL FROM:<a@client.example>', 250)
  await absent.c.command('RCPT TO:<b@example.org>', /^451 4\.4\.1 /)
})

t.test('TLS', async t => {
  const place: Place = PLACES.find(({ at }) => at === 'STARTTLS')!
  for (const after of ['hangs', 'closes', 'resets', 'rubbish']) {
    const STARTTLS = (_line: string, server: ScriptedServer): void => {
      server.say('220 Go\r\n')
      const said = FAULTS[after]!(220, server)
      if (typeof said === 'string') server.say(said)
    }
    const outcome = await play(t, place, { STARTTLS })
    judge(t, outcome, place, after)
    t.match(outcome.replies.at(-1), /^451 4\./, after)
  }
})

const LINES = `${'x'.repeat(76)}\r\n`.repeat(1000)
/** More than the buffers between the two sockets hold. */
const LONG: readonly string[] = Array.from({ length: 200 }, (_, i) => (i === 0 ? `Subject: x\r\n\r\n${LINES}` : LINES))

/** The first part leaves before the end has come. */
const EARLY = [`Subject: x\r\n\r\n${LINES}`, 'second\r\nMAIL FROM:<x@y>\r\n']

t.test('data: a reply before the end of the mail data', async t => {
  await eachFault(async (name, fault) => {
    const place: Partial<Place> = { isRelayed: true }
    const outcome = await play(t, place, { data: (_line, server) => fault(250, server) }, EARLY)
    judge(t, outcome, place, `data: ${name}`)
    const told = outcome.replies.at(-1)!
    note('in mail data', name, told)
    if (name === 'hangs' || name === 'half a reply')
      t.match(told, /^250[ -]/, 'a reply that ends after the message is none too early')
    else if (name === 'refuses for good') t.equal(told, '550 5.1.1 No')
    else if (name === 'refuses for now') t.equal(told, '450 4.2.1 Not now')
    else t.match(told, /^451 4\./, name)
    t.equal(outcome.upstream.verbs.filter(verb => verb === 'MAIL').length, 1, 'mail data is never a command')
  })
})

t.test('data: the upstream stops reading', async t => {
  const outcome = await play(t, {}, { data: (_line, { socket }) => void socket.pause() }, [...LONG])
  judge(t, outcome, {}, 'data: stops reading')
  t.match(outcome.replies.at(-1), /^451 4\.4\.2 /)
})

t.test('BDAT: at a chunk before the last', async t => {
  await eachFault(async (name, fault) => {
    // Until every chunk before the last is answered, the message has no end.
    const place: Partial<Place> = { script: BDAT, isRelayed: true }
    const answer = (line: string, server: ScriptedServer): string | void =>
      line.endsWith('LAST') ? '250 2.0.0 Taken\r\n' : fault(250, server)
    const outcome = await play(t, place, { BDAT: answer }, LONG.slice(0, 10))
    judge(t, outcome, place, `BDAT: ${name}`)
    const told = outcome.replies.at(-1)!
    note('BDAT, not the last', name, told)
    if (name === 'refuses for good') t.equal(told, '550 5.1.1 No')
    else if (name === 'refuses for now') t.equal(told, '450 4.2.1 Not now')
    else t.match(told, /^451 4\./, name)
  })
})

t.test('a slow upstream is no fault', async t => {
  const say = async (text: string, server: ScriptedServer): Promise<void> => {
    for (const octet of text) {
      await pause(2)
      server.say(octet)
    }
  }
  const slowly =
    (text: string): Answer =>
    (_line, server) =>
      void say(text, server)
  const script = {
    greeting: slowly('220 mx\r\n'),
    EHLO: slowly('250-mx\r\n250 8BITMIME\r\n'),
    MAIL: slowly('250 2.1.0 OK\r\n'),
    DATA: (_line: string, server: ScriptedServer): string => {
      server.say('35')
      return '354 Go\r\n'.slice(2)
    },
    end: slowly('250 2.0.0 Taken\r\n'),
  }
  const outcome = await play(t, { script: { ...script, DATA: '354 Go\r\n' } }, {})
  judge(t, outcome, {}, 'slow')
  t.match(outcome.replies.at(-1), /^250 /)
})

t.test('after a fault the next mail goes through', async t => {
  let isFaulty = true
  for (const at of ['greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'end']) {
    isFaulty = true
    const positive = { greeting: '220 mx\r\n', EHLO: DATA.EHLO, DATA: '354 Go\r\n' }[at] ?? '250 OK\r\n'
    const upstream = await startUpstream(t, {
      ...DATA,
      [at]: (_line, server) => (isFaulty ? void server.socket.destroy() : positive),
    })
    const clock = new FakeClock()
    const { c } = await front(t, { host: '127.0.0.1', port: upstream.port, timeouts: TIMEOUTS, clock })
    for (const wanted of [/^451 /, /^250 /]) {
      await c.command('MAIL FROM:<a@client.example>', 250)
      let reply = await c.command('RCPT TO:<b@example.org>')
      if (reply.code < 400) reply = await c.command('DATA')
      if (reply.code === 354) {
        c.write(`${MESSAGE}.\r\n`)
        reply = await c.expect()
      }
      t.match(reply.text, wanted, at)
      if (isFaulty) await c.command('RSET', 250)
      isFaulty = false
    }
  }
})

t.test('docs/faults.md has the table', async t => {
  t.ok(readText('docs/faults.md').includes(table()), `the table is now:\n${table()}`)
})
