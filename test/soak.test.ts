// `npm run soak` for a few seconds, and its accountant: it has to find a message that is lost, partial or doubled.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { redisServer } from './fixtures/redis.ts'
import { ROOT } from './fixtures/repository.ts'

interface Attempt {
  readonly id: string
  readonly attempt: number
  readonly outcome: 'acknowledged' | 'refused' | 'lost' | 'unfinished'
  readonly recipients: readonly string[]
  readonly at: number
  readonly endSent?: boolean
  readonly reset?: boolean
  readonly code?: number
  readonly text?: string
}

type Usage = Readonly<Record<'MiB' | 'descriptors' | 'sockets', number>>
type Grown = (before: readonly Usage[], after: readonly Usage[]) => string[]

interface Copy {
  readonly id: string
  readonly attempt: number
  readonly digest: string | null
  readonly recipients: readonly string[]
  readonly generation: number
  readonly at: number
}

interface Books {
  readonly messages: { readonly id: string; readonly digest: string; readonly kind: 'mail' | 'cut' }[]
  readonly attempts: Attempt[]
  readonly copies: Copy[]
  readonly kills: { readonly generation: number; readonly at: number }[]
  readonly deaths: number[]
}

type Finding = 'lost' | 'partial' | 'unexplained' | 'unfinished' | 'refused' | 'dropped'

type Result = Record<'sent' | 'acknowledged' | 'arrived' | 'doubled', number> & Record<Finding, string[]>

const { account, isClean, summary } = (await import(pathToFileURL(join(ROOT, 'scripts/soak/accountant.js')).href)) as {
  account(books: Books): Result
  isClean(result: Result): boolean
  summary(result: Result): string
}
const { digestOf, makeMessage, stuffed } = (await import(
  pathToFileURL(join(ROOT, 'scripts/soak/message.js')).href
)) as {
  digestOf(data: Buffer): string | null
  makeMessage(id: string, size: number): Buffer
  stuffed(data: Buffer): Buffer
}

const attempt = (more: Partial<Attempt> = {}): Attempt => {
  return { id: 'a', attempt: 1, outcome: 'acknowledged', recipients: ['x', 'y'], at: 1000, ...more }
}
const copy = (more: Partial<Copy> = {}): Copy => {
  return { id: 'a', attempt: 1, digest: 'good', recipients: ['y', 'x'], generation: 1, at: 900, ...more }
}
const books = (more: Partial<Books> = {}): Books => ({
  messages: [{ id: 'a', digest: 'good', kind: 'mail' }],
  attempts: [attempt()],
  copies: [copy()],
  kills: [],
  deaths: [],
  ...more,
})
/** Two attempts and a copy of each: the second was acknowledged. */
const twice = (first: Partial<Attempt>, more: Partial<Books> = {}): Books => {
  const attempts = [attempt(first), attempt({ attempt: 2, at: 5000 })]
  return books({ attempts, copies: [copy(), copy({ attempt: 2, at: 4900 })], ...more })
}

t.test('a message that was acknowledged and arrived once', async t => {
  const result = account(books())
  t.ok(isClean(result))
  t.equal(summary(result), 'sent 1, acknowledged 1, arrived 1, lost 0, doubled 0 (RFC 1047), partial 0')
})

const FINDINGS: [name: string, finding: Finding, what: Books][] = [
  ['acknowledged, but there is no copy', 'lost', books({ copies: [] })],
  ['acknowledged, but only a part arrived', 'lost', books({ copies: [copy({ digest: 'other' })] })],
  [
    'acknowledged, but there is only the copy of another attempt',
    'lost',
    twice({ outcome: 'lost', endSent: true, reset: true }, { copies: [copy()] }),
  ],
  ['a copy with other content', 'partial', books({ copies: [copy(), copy({ digest: 'other' })] })],
  ['a copy that is no message', 'partial', books({ copies: [copy(), copy({ digest: null })] })],
  ['a copy without a recipient', 'partial', books({ copies: [copy({ recipients: ['x'] })] })],
  ['a copy of an attempt that was never made', 'partial', books({ copies: [copy(), copy({ attempt: 7 })] })],
  ['a copy of what was never sent', 'partial', books({ copies: [copy(), copy({ id: 'b' })] })],
  [
    'a copy of a message that was cut off',
    'partial',
    books({ messages: [{ id: 'a', digest: 'good', kind: 'cut' }], attempts: [] }),
  ],
  ['two copies of one attempt', 'unexplained', books({ copies: [copy(), copy()] })],
  ['a copy of an attempt that was refused', 'unexplained', twice({ outcome: 'refused', endSent: true, code: 451 })],
  [
    'refused before the kill of the upstream',
    'unexplained',
    twice({ outcome: 'refused', endSent: true, code: 451 }, { kills: [{ generation: 1, at: 1500 }] }),
  ],
  [
    'refused, and another upstream was killed',
    'unexplained',
    twice({ outcome: 'refused', endSent: true, code: 451 }, { kills: [{ generation: 2, at: 950 }] }),
  ],
  [
    'refused before the end was sent',
    'unexplained',
    twice({ outcome: 'refused', endSent: false, code: 451 }, { kills: [{ generation: 1, at: 950 }] }),
  ],
  [
    'refused for good',
    'unexplained',
    twice({ outcome: 'refused', endSent: true, code: 550 }, { kills: [{ generation: 1, at: 950 }] }),
  ],
  ['a copy of an attempt that was never finished', 'unexplained', twice({ outcome: 'unfinished' })],
  ['never acknowledged', 'unfinished', books({ attempts: [attempt({ outcome: 'lost', reset: true })] })],
  ['a good message refused for good', 'refused', twice({ outcome: 'refused', code: 554, text: '554 No' })],
  ['a connection lost, and no worker died', 'dropped', twice({ outcome: 'lost', endSent: true }, { deaths: [2000] })],
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
    ['the sender lost the connection', twice({ outcome: 'lost', endSent: true }, { deaths: [990] })],
    ['the sender reset the connection', twice({ outcome: 'lost', endSent: true, reset: true })],
    [
      'the gateway lost the upstream after it had stored the message',
      twice({ outcome: 'refused', endSent: true, code: 451 }, { kills: [{ generation: 1, at: 950 }] }),
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
  t.equal(stuffed(Buffer.from('.a\r\nb.\r\n..\r\n')).toString(), '..a\r\nb.\r\n...\r\n.\r\n')
})

t.test('a run of five seconds', { skip: process.platform !== 'linux' }, async t => {
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
  t.match(said, /^killed: workers [1-9]\d*, the upstream [1-9]\d*, .*; frozen: the upstream [1-9]/m)
  if (redisServer !== null) t.match(said, /^killed: .*, the store [1-9]\d*; frozen: .*, the store [1-9]/m)
  t.match(said, /^refused by greylisting [1-9]/m)
  t.match(said, /^SIGHUP: [1-9]\d* with a good file, [1-9]\d* with a bad one/m)
  t.strictSame(readdirSync(folder), [], 'no file is left')
})
