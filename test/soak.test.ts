// `npm run soak` for a few seconds, and its accountant: it has to find a message that is lost, partial or doubled.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { redisServer } from './fixtures/redis.ts'
import { ROOT } from './fixtures/repository.ts'

interface Verdict {
  readonly recipient: string
  readonly outcome: 'acknowledged' | 'refused' | 'lost' | 'unfinished'
  readonly step?: 'rcpt' | 'end' | 'other'
  readonly code?: number
  readonly text?: string
}

interface Attempt {
  readonly id: string
  readonly attempt: number
  readonly protocol: 'SMTP' | 'LMTP'
  readonly at: number
  readonly endSent: boolean
  readonly reset?: boolean
  readonly verdicts: readonly Verdict[]
}

type Usage = Readonly<Record<'MiB' | 'descriptors' | 'sockets', number>>
type Grown = (before: readonly Usage[], after: readonly Usage[]) => string[]

interface Copy {
  readonly id: string
  readonly attempt: number
  readonly digest: string | null
  readonly recipients: readonly string[]
  readonly place: 'smtp' | 'lmtp' | 'boxes'
  readonly process: string
  readonly at: number
}

interface Books {
  readonly messages: readonly {
    readonly id: string
    readonly digest: string
    readonly kind: 'mail' | 'cut'
    readonly recipients: readonly string[]
  }[]
  readonly attempts: readonly Attempt[]
  readonly copies: readonly Copy[]
  readonly kills: readonly { readonly process: string; readonly at: number }[]
  readonly deaths: readonly number[]
  readonly troubled: readonly string[]
}

type Finding = 'lost' | 'partial' | 'unexplained' | 'unfinished' | 'refused' | 'dropped'

type Reason = 'reset' | 'worker' | 'killed' | 'store' | 'recognized'

type Result = Record<'sent' | 'acknowledged' | 'arrived' | 'doubled', number> &
  Record<Finding, string[]> & { readonly reasons: Record<Reason, number> }

const { account, isClean, summary } = (await import(pathToFileURL(join(ROOT, 'scripts/soak/accountant.js')).href)) as {
  account(books: Books): Result
  isClean(result: Result): boolean
  summary(result: Result): string
}
const { attemptOf, digestOf, heloOf, makeMessage, stuffed } = (await import(
  pathToFileURL(join(ROOT, 'scripts/soak/message.js')).href
)) as {
  attemptOf(data: Buffer): number
  digestOf(data: Buffer): string | null
  heloOf(id: string, attempt: number): string
  makeMessage(id: string, size: number): Buffer
  stuffed(data: Buffer): Buffer
}

type Told = Omit<Verdict, 'recipient'>

const TAKEN: Told = { outcome: 'acknowledged', step: 'end', code: 250 }
const LATER: Told = { outcome: 'refused', step: 'end', code: 451, text: '451 4.2.0 Not all' }
const LMTP = { protocol: 'LMTP' } as const
const LOST: Told = { outcome: 'lost', text: 'ended' }

/** An attempt; `told` is what each of these recipients was told. */
function attempt(
  told: Told | Readonly<Record<string, Told>> = TAKEN,
  more: Partial<Omit<Attempt, 'verdicts'>> = {},
): Attempt {
  const all = 'outcome' in told ? { x: told as Told, y: told as Told } : told
  const verdicts = Object.entries(all).map(([recipient, verdict]) => Object.assign({ recipient }, verdict))
  return { id: 'a', attempt: 1, protocol: 'SMTP', endSent: true, at: 1000, ...more, verdicts }
}

function copy(more: Partial<Copy> = {}): Copy {
  const own = { id: 'a', attempt: 1, digest: 'good', recipients: ['y', 'x'], at: 900 }
  return { ...own, place: 'smtp', process: 'smtp-1', ...more }
}

const message = { id: 'a', digest: 'good', kind: 'mail', recipients: ['x', 'y'] } as const

const books = (more: Partial<Books> = {}): Books => ({
  messages: [message],
  attempts: [attempt()],
  copies: [copy()],
  kills: [],
  deaths: [],
  troubled: [],
  ...more,
})
/** Two attempts and a copy of each: the second was acknowledged. */
const twice = (first: Told, more: Partial<Books> = {}, of: Partial<Attempt> = {}): Books => {
  const attempts = [attempt(first, of), attempt(TAKEN, { attempt: 2, at: 5000 })]
  return books({ attempts, copies: [copy(), copy({ attempt: 2, at: 4900 })], ...more })
}

/** By LMTP behind the gateway: x was taken and y refused at first, so the client was told to send both again. */
const partly = (more: Partial<Books> = {}): Books => {
  const attempts = [attempt(LATER), attempt(TAKEN, { attempt: 2, at: 5000 })]
  const copies = [
    copy({ place: 'lmtp', process: 'lmtp-1', recipients: ['x'] }),
    copy({ place: 'lmtp', process: 'lmtp-1', recipients: ['y'], attempt: 2, at: 4900 }),
  ]
  return books({ attempts, copies, ...more })
}
/** The same, but x has got a second copy by the second attempt. */
const partlyTwice = (more: Partial<Books> = {}): Books => {
  const { copies } = partly()
  return partly({ copies: [copies[0]!, { ...copies[1]!, recipients: ['x', 'y'] }], ...more })
}
const gone = (told: Told, copies: readonly Copy[] = []): Books => {
  const recipients = ['gone1']
  return books({ messages: [{ ...message, recipients }], attempts: [attempt({ gone1: told })], copies })
}

t.test('a message that was acknowledged and arrived once', async t => {
  const result = account(books())
  t.ok(isClean(result))
  t.equal(summary(result), 'sent 1, acknowledged 1, arrived 1, lost 0, doubled 0 (RFC 1047), partial 0')
})

t.test('recipients that come one after the other, each to its place', async t => {
  const later = { outcome: 'refused', step: 'rcpt', code: 451, text: '451 4.7.1 Greylisted' } as const
  const attempts = [attempt({ x: TAKEN, y: later }), attempt({ y: TAKEN }, { attempt: 2, protocol: 'LMTP' })]
  const copies = [copy({ recipients: ['x'] }), copy({ recipients: ['y'], attempt: 2, place: 'boxes' })]
  const result = account(books({ attempts, copies }))
  t.ok(isClean(result))
  t.match(summary(result), 'sent 1, acknowledged 1, arrived 1, lost 0, doubled 0')
  t.match(account(books({ attempts: attempts.slice(0, 1), copies: copies.slice(0, 1) })).unfinished, [/^a: /])
})

t.test('a recipient that is always refused', async t => {
  const full = { outcome: 'refused', step: 'end', code: 552, text: '552 Full' } as const
  t.ok(isClean(account(gone(full))))
  t.match(account(gone(full, [copy({ recipients: ['gone1'] })])).unexplained, [/^a: /])
  t.match(account(gone(TAKEN)).lost, [/^a: /])
  t.match(account(gone(LATER)).unfinished, [/^a: /])
})

t.test('a message by SMTP that LMTP has taken for some', async t => {
  const result = account(partly())
  t.ok(isClean(result))
  t.match(result, { doubled: 0, arrived: 1, reasons: { recognized: 1 } })
  const troubled = account(partlyTwice({ troubled: ['a'] }))
  t.ok(isClean(troubled), 'the log says that the store has failed')
  t.match(troubled, { doubled: 0, reasons: { store: 1 } })
  const between = [attempt(LATER), attempt(LOST, { attempt: 2 }), attempt(TAKEN, { attempt: 3, at: 5000 })]
  const { copies } = partlyTwice()
  const after = account(partly({ attempts: between, copies: [copies[0]!, { ...copies[1]!, attempt: 3 }], deaths: [1] }))
  t.match(after, { doubled: 1, unexplained: [], reasons: { worker: 1 } }, 'that x has it was told, and the reply lost')
})

const FINDINGS: [name: string, finding: Finding, what: Books][] = [
  ['acknowledged, but there is no copy', 'lost', books({ copies: [] })],
  ['acknowledged for two, but there is a copy for one', 'lost', partly({ copies: partly().copies.slice(1) })],
  ['acknowledged, but only a part arrived', 'lost', books({ copies: [copy({ digest: 'other' })] })],
  [
    'acknowledged, but there is only the copy of another attempt',
    'lost',
    twice(LOST, { copies: [copy()] }, { reset: true }),
  ],
  [
    'the same, by LMTP all the way: each recipient had its own verdict',
    'lost',
    partly({ attempts: [attempt(LATER, LMTP), attempt(TAKEN, { ...LMTP, attempt: 2, at: 5000 })] }),
  ],
  ['a copy with other content', 'partial', books({ copies: [copy(), copy({ digest: 'other' })] })],
  ['a copy that is no message', 'partial', books({ copies: [copy(), copy({ digest: null })] })],
  ['a copy without a recipient', 'partial', books({ copies: [copy({ recipients: ['x'] })] })],
  ['a copy for somebody else', 'partial', books({ copies: [copy({ place: 'boxes', recipients: ['z'] })] })],
  ['a copy of an attempt that was never made', 'partial', books({ copies: [copy(), copy({ attempt: 7 })] })],
  ['a copy of what was never sent', 'partial', books({ copies: [copy(), copy({ id: 'b' })] })],
  ['a copy of a message that was cut off', 'partial', books({ messages: [{ ...message, kind: 'cut' }], attempts: [] })],
  ['two copies of one attempt', 'unexplained', books({ copies: [copy(), copy()] })],
  ['a copy of an attempt that was refused', 'unexplained', twice(LATER)],
  ['refused before the kill of the place', 'unexplained', twice(LATER, { kills: [{ process: 'smtp-1', at: 1500 }] })],
  ['refused, and another process was killed', 'unexplained', twice(LATER, { kills: [{ process: 'smtp-2', at: 950 }] })],
  [
    'refused before the end was sent',
    'unexplained',
    twice({ ...LATER, step: 'other' }, { kills: [{ process: 'smtp-1', at: 950 }] }),
  ],
  ['refused for good', 'unexplained', twice({ ...LATER, code: 550 }, { kills: [{ process: 'smtp-1', at: 950 }] })],
  ['a copy of an attempt that was never finished', 'unexplained', twice({ outcome: 'unfinished' })],
  ['a second copy by LMTP, and the store had no trouble', 'unexplained', partlyTwice({ troubled: ['b'] })],
  ['the store had trouble, but the place has one verdict', 'unexplained', twice(LATER, { troubled: ['a'] })],
  ['never acknowledged', 'unfinished', books({ attempts: [attempt(LOST, { reset: true })] })],
  ['a good message refused for good', 'refused', twice({ ...LATER, code: 554, text: '554 No' })],
  ['a connection lost, and no worker died', 'dropped', twice(LOST, { deaths: [2000] })],
]

t.test('what must not be is found', async t => {
  for (const [name, finding, what] of FINDINGS) {
    const result = account(what)
    t.not(result[finding].length, 0, name)
    t.notOk(isClean(result), name)
  }
  t.match(summary(account(books({ copies: [] }))), 'arrived 0, lost 1,')
  t.match(summary(account(books({ copies: [copy({ digest: 'other' })] }))), 'lost 1, doubled 0 (RFC 1047), partial 1')
  t.match(summary(account(books({ copies: [copy(), copy()] }))), 'doubled 1 (RFC 1047, but 1 without that reason)')
})

t.test('a process that has grown is found', async t => {
  const { grown } = (await import(pathToFileURL(join(ROOT, 'scripts/soak/usage.js')).href)) as { grown: Grown }
  const small = { MiB: 60, descriptors: 30, sockets: 4 }
  t.strictSame(grown([small, small], [small, small, small]), [])
  t.strictSame(grown([small, small], [small]), [], 'a worker that is just started again is no finding')
  t.strictSame(
    grown(
      [small, small],
      [
        { ...small, sockets: 400 },
        { ...small, MiB: 900 },
      ],
    ),
    ['primary: 400 sockets, 4 in the beginning', 'worker: 900 MiB, 60 in the beginning'],
  )
})

t.test('what RFC 1047 allows is counted, and is no finding', async t => {
  const allowed: [string, Books][] = [
    ['the sender lost the connection', twice(LOST, { deaths: [990] })],
    ['the sender reset the connection', twice(LOST, {}, { reset: true })],
    [
      'the gateway lost the place after it had stored the message',
      twice(LATER, { kills: [{ process: 'smtp-1', at: 950 }] }),
    ],
  ]
  for (const [name, what] of allowed) {
    const result = account(what)
    t.ok(isClean(result), name)
    t.match(summary(result), 'arrived 1, lost 0, doubled 1 (RFC 1047), partial 0', name)
  }
})

t.test('messages are the same at each attempt, and digests see each octet', async t => {
  const data = makeMessage('s1-1', 20_000)
  t.strictSame(makeMessage('s1-1', 20_000), data)
  t.notSame(makeMessage('s1-2', 20_000), data)
  const digest = digestOf(data)
  t.equal(digestOf(Buffer.concat([Buffer.from('Received: from x\r\n'), data])), digest)
  t.not(digestOf(data.subarray(0, -1)), digest)
  t.not(digestOf(Buffer.concat([data, Buffer.from('\r\n')])), digest)
  t.equal(digestOf(Buffer.from('nothing of it')), null)
  t.equal(attemptOf(Buffer.from(`Received: from ${heloOf('s1-1234', 7)} (x)\r\n by gateway.example\r\nX-Soak-Id: `)), 7)
  t.ok(Number.isNaN(attemptOf(data)))
  t.equal(stuffed(Buffer.from('.a\r\nb.\r\n..\r\n')).toString(), '..a\r\nb.\r\n...\r\n.\r\n')
})

const hasCompiler = spawnSync('cc', ['--version']).error === undefined

/** `.ci/run` has a run of a minute as well. */
const skip = process.env['MAILHANDLER_EXHAUSTIVE'] === '1' ? false : 'it takes 18 s: set MAILHANDLER_EXHAUSTIVE=1'

t.test('a run of five seconds', { skip }, async t => {
  const folder = t.testdir()
  const args = [join(ROOT, 'scripts/soak.js'), '--seconds', '5', '--seed', '7']
  const child = spawn(process.execPath, args, { env: { ...process.env, TMPDIR: folder } })
  t.teardown(() => child.kill())
  let said = ''
  child.stdout.on('data', chunk => (said += String(chunk)))
  child.stderr.on('data', chunk => (said += String(chunk)))
  const [code] = await once(child, 'close')
  t.equal(code, 0, said)
  const last = /^sent (\d+), acknowledged (\d+), arrived (\d+), lost 0, doubled \d+ \(RFC 1047\), partial 0$/
  const [, sent, acknowledged, arrived] = last.exec(said.trim().split('\n').at(-1)!) ?? []
  t.ok(Number(sent) > 10, said)
  t.strictSame([acknowledged, arrived], [sent, sent])
  t.match(
    said,
    /^killed: workers [1-9]\d* of the gateway and [1-9]\d* of the boxes, upstreams [1-9].*; frozen: workers [1-9]\d*, upstreams [1-9]/m,
  )
  if (redisServer !== null) t.match(said, /^killed: .*, the store [1-9]\d*; frozen: .*, the store [1-9]/m)
  if (hasCompiler) t.match(said, /^killed: .* disk full: [1-9]/m)
  t.match(said, /^messages: mail .* attempts by .*LMTP [1-9]/m)
  t.match(said, /^recipients: .* refused by greylisting [1-9]/m)
  t.match(said, /^SIGHUP: [1-9]\d* with a good file, [1-9]\d* with a bad one/m)
  t.strictSame(readdirSync(folder), [], 'no file is left')
})
