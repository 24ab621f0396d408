// `mailhandler greylist report`: what became of what was held, from the store and from the log.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { logGreylisting } from '../lib/cli/log/greylist-events.ts'
import type { Logger } from '../lib/cli/log/logger.ts'
import { LogReader, type LogReport } from '../lib/cli/report/log-report.ts'
import { outcomeOf } from '../lib/cli/report/outcome.ts'
import { report } from '../lib/cli/report/report.ts'
import { storeReport } from '../lib/cli/report/store-report.ts'
import { reportText } from '../lib/cli/report/text.ts'
import { suspicionKey, type SignName } from '../lib/policies/suspicion/verdict.ts'
import { defaultRules, memoryStore } from '../lib/stores.ts'
import { run, start } from './fixtures/command.ts'
import { DAY, HOUR, MINUTE, SECOND, World, type WorldOptions } from './fixtures/greylisting.ts'

/** A world whose decisions are logged as the command logs them, with the world's time. */
function logged(t: Test, options: WorldOptions = {}, signs: Readonly<Record<string, readonly SignName[]>> = {}) {
  const lines: string[] = []
  const world = new World({
    before: [
      {
        onRcptTo(_, { client, notes }) {
          const found = (signs[client.address ?? ''] ?? []).map(sign => ({ sign, weight: 3 }))
          notes.set(suspicionKey, { score: 3 * found.length, signs: found, suspicious: true })
        },
      },
    ],
    ...options,
  })
  const write = (fields: object, msg: string) => {
    lines.push(JSON.stringify({ time: new Date(world.clock.wallTime()).toISOString(), ...fields, msg }))
  }
  const log = { info: write, debug() {}, warn: write } as unknown as Logger
  const subscriptions = logGreylisting(() => log)
  t.teardown(() => subscriptions.forEach(end => end()))
  return { world, lines }
}

function read(lines: readonly string[], window = DAY): LogReport {
  const reader = new LogReader(window)
  for (const line of lines) reader.read(line)
  return reader.report()
}

t.test('log and store agree: stopped, delayed and for how long, by which sign', async t => {
  const { world, lines } = logged(t, {}, { '192.0.2.7': ['noReverseName'], '198.51.100.7': ['listed', 'heloMismatch'] })
  const bot = { client: '198.51.100.7', sender: 'x@bot.example' }
  t.equal(await world.codes(), '451')
  t.equal(await world.codes(bot), '451')
  t.equal(await world.codes({ ...bot, to: ['carl@example.org'] }), '451')
  t.equal(await world.later(10 * SECOND), '451', 'too early')
  t.equal(await world.later(5 * MINUTE - 10 * SECOND), '250 354 250')
  t.equal(await world.codes(), '250 354 250', 'known')
  const delays = { median: 5 * MINUTE, most: 5 * MINUTE, longest: 5 * MINUTE }
  const soon = read(lines)
  t.match(soon.enforced, { held: 3, delayed: 1, stopped: 0, open: 2, delays })
  t.match(await storeReport(world.store), { held: 3, delayed: 1, stopped: 0, open: 2, delays })

  await world.clock.tick(DAY)
  t.equal(await world.codes({ client: '203.0.113.7' }), '451', 'the last line says what time it is')
  const late = read(lines)
  t.match(late.enforced, { held: 4, delayed: 1, stopped: 2, open: 1, delays })
  t.strictSame(late.enforced?.signs, {
    heloMismatch: { held: 2, stopped: 2, delayed: 0 },
    listed: { held: 2, stopped: 2, delayed: 0 },
    'no sign': { held: 1, stopped: 0, delayed: 0 },
    noReverseName: { held: 1, stopped: 0, delayed: 1 },
  })
  t.match(late, { passedAtOnce: 1, failed: 0, observed: null, unnamed: 0, skipped: 0 })
  t.match(await storeReport(world.store), { held: 2, delayed: 1, open: 1 }, 'the store has forgotten the bot')
})

t.test('a retry from elsewhere in its pool, with another tag, is the same case', async t => {
  const { world, lines } = logged(t)
  const from = (client: string, tag: string) => ({
    client,
    name: 'out.mail.example.net',
    sender: `prvs=${tag}=ann@example.net`,
  })
  t.equal(await world.codes(from('192.0.2.7', '0123abcdef')), '451')
  t.equal(await world.later(MINUTE, from('198.51.100.9', '1124012345')), '250 354 250')
  await world.clock.tick(2 * DAY)
  await world.codes({ client: '203.0.113.7' })
  t.match(read(lines).enforced, { held: 2, delayed: 1, stopped: 0, open: 1 })
  const kept = await storeReport(world.store)
  t.match(kept, { held: 2, delayed: 1, open: 1 }, 'one case, though it is kept under several keys')
})

t.test('what comes again after its time is stopped, and begins again', async t => {
  const { world, lines } = logged(t)
  t.equal(await world.codes(), '451')
  t.equal(await world.later(25 * HOUR), '451')
  t.match(read(lines).enforced, { held: 2, stopped: 1, open: 1, delayed: 0 })
})

t.test('a log that begins in the middle: a retry has its age', async t => {
  const { world, lines } = logged(t)
  await world.codes()
  await world.later(30 * SECOND)
  await world.later(30 * SECOND)
  t.match(read(lines.slice(2)).enforced, { held: 1, delayed: 1, delays: { longest: MINUTE } })
  t.match(read(lines.slice(1, 2)).enforced, { held: 1, open: 1 })
})

t.test('observe: would have waited, never stopped', async t => {
  const { world, lines } = logged(t, { mode: 'observe' }, { '192.0.2.7': ['noReverseName'] })
  t.equal(await world.codes(), '250 354 250')
  t.equal(await world.later(10 * SECOND), '250 354 250')
  t.equal(await world.codes({ client: '198.51.100.7' }), '250 354 250')
  t.equal(await world.later(HOUR), '250 354 250')
  const log = read(lines)
  t.equal(log.enforced, null)
  t.strictSame(log.observed, { wouldHaveWaited: 3, cameAgain: 1, signs: { noReverseName: 2, 'no sign': 1 } })
  const text = reportText({ store: await storeReport(world.store), log }, { observes: true, window: DAY })
  t.match(text, /would have waited \(mode "observe" holds nothing\) +2\n {2}.*seen again later.* 1 \(50 %\)\n/)
  t.match(text, /The log, from .*\n {2}would have waited .* 3\n/)
  t.match(text, /^ {2}noReverseName +2$/m)
  t.notMatch(text, /stopped|held|delayed/)
})

t.test('a store that fails, and many recipients', async t => {
  const store = memoryStore()
  const { world, lines } = logged(t, { store, decideAt: 'data' })
  await store.close()
  await world.codes({ to: Array.from({ length: 25 }, (_, i) => `user${i}@example.org`) })
  const log = read(lines)
  t.match(log, { enforced: null, observed: null, failed: 20, unnamed: 5 })
  t.match(reportText({ store: outcomeOf([]), log }, { observes: false, window: DAY }), /store, which failed +20\n/)
})

t.test('lines that are not of the log are counted; without any there is nothing to say', t => {
  const line = (fields: object): string => JSON.stringify({ time: '2026-11-01T00:00:00.000Z', msg: 'x', ...fields })
  const log = read(['', 'no JSON', '1', '{"msg":1}', line({}), line({ msg: 'transaction', verdict: 'accepted' })])
  t.match(log, { skipped: 3, accepted: 1, from: '2026-11-01T00:00:00.000Z', enforced: null })
  const text = (made: LogReport): string => {
    return reportText({ store: outcomeOf([]), log: made }, { observes: false, window: DAY })
  }
  t.match(text(log), /messages accepted in all +1\n {2}lines that are no JSON of the log +3\n/)
  t.match(text(read([])), /The log has no line of this program\./)
  const exempt = { recipient: 'a@example.org', verdict: 'exempt', waits: false, age: 0 }
  t.equal(read([line({ msg: 'greylist', decisions: [exempt] })]).enforced, null)
  const local = { ...exempt, recipient: 'postmaster', verdict: 'new' }
  t.match(read([line({ msg: 'greylist', clients: ['net:192.0.2.0/24'], decisions: [local] })]).enforced, {
    held: 1,
    open: 1,
  })
  t.end()
})

t.test('of ten delays, nine are at most the ninth', t => {
  const cases = [5, 3, 1, 2, 4, 6, 7, 8, 9, 10].map(delay => ({ signs: [], end: 'delayed', delay }) as const)
  t.strictSame(outcomeOf(cases).delays, { median: 5, most: 9, longest: 10 })
  t.equal(outcomeOf([]).delays, null)
  t.end()
})

const CONFIG = `
listen = [{ address = "127.0.0.1:0" }]
log.file = "log"
[greylist]
`

t.test('the command, over the log that the command wrote', async t => {
  const folder = t.testdir({ 'm.toml': CONFIG, 'n.toml': '' })
  const ask = (...words: string[]) => run(['greylist', ...words, '--config', 'm.toml'], folder)
  const server = start(['serve', '--config', 'm.toml'], folder)
  await server.port
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
  const now = Date.now()
  const greylist = (verdict: string, at: number, age: number): string =>
    JSON.stringify({
      time: new Date(at).toISOString(),
      client: '192.0.2.7',
      observed: false,
      clients: ['net:192.0.2.0/24'],
      signs: ['noReverseName'],
      sender: 'anna@example.net',
      decisions: [{ recipient: 'bob@example.org', verdict, waits: verdict === 'new', age }],
      msg: 'greylist',
    })
  writeFileSync(join(folder, 'old'), `${greylist('new', now - 2 * DAY, 0)}\n`)
  writeFileSync(join(folder, 'new'), `${greylist('pass', now - DAY - HOUR, 23 * HOUR)}\n`)
  const made = await ask('report', '--log', 'old', '--log', 'new', '--log', 'log')
  t.match(made, { code: 0, stderr: '' })
  t.match(made.stdout, /^The store, which forgets within 24h .*:\n {2}held +0\n/)
  t.match(
    made.stdout,
    / {4}stopped: did not come again within 24h +0 \(0 %\)\n {4}came again, and passed +1 \(100 %\)\n/,
  )
  t.match(made.stdout, /delayed: median, nine of ten at most, longest +23h, 23h, 23h\n/)
  t.match(made.stdout, /^ {2} +held +stopped +passed\n {2}noReverseName +1 +0 +1$/m)
  const json = JSON.parse((await ask('report', '--json', '--log', 'old')).stdout) as object
  t.match(json, { mode: 'enforce', store: { held: 0 }, log: { enforced: { held: 1, open: 1 } } })
  const read = await run(['greylist', 'report', '--config', 'm.toml', '--log', '-'], folder, greylist('new', now, 0))
  t.match(read.stdout, /may come again yet +1 \(100 %\)/, 'standard input')
  t.match(await ask('report'), { code: 0, stdout: /With --log the report counts what was stopped, too\.\n$/ })
  t.match(await ask('report', '--log', 'none'), { code: 1, stderr: /none: there is no such file/ })
  t.match(await ask('stats', '--json'), { code: 2, stderr: /--log and --json are for greylist report/ })
  t.match(await ask('report', 'x'), { code: 2, stderr: /greylist report takes nothing more/ })
})

t.test('a file that is no text is no error, and nothing is found', async t => {
  const folder = t.testdir({ 'log.gz': gzipSync('x') })
  const request = { observes: false, window: DAY, logs: [join(folder, 'log.gz')], json: false }
  t.match(await report(memoryStore(), request), /The log has no line of this program/)
  t.equal(defaultRules.window, DAY)
})
