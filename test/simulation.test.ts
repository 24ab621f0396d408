// The simulation of bench/greylisting with a tiny population: what it counts, and that a seed gives the same figures again.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { ROOT } from './fixtures/repository.ts'

interface Figures {
  readonly messages: number
  readonly delayed: number
  readonly median: number
  readonly longest: number
  readonly late: number
  readonly refused: number
  readonly share: number
  readonly attempts: number
}
interface Row {
  readonly messages: number
  readonly delayed: number
  readonly refused: number
}
interface Traffic {
  readonly messages: readonly unknown[]
  readonly names: unknown
}
interface Subject {
  close(): Promise<void>
}
type Retry = Readonly<Record<string, unknown>>
interface Attempt {
  readonly start: number
  readonly now: number
  readonly attempts: number
  readonly phase: number
}

const load = async <T>(file: string): Promise<T> =>
  (await import(pathToFileURL(join(ROOT, 'bench/greylisting', file)).href)) as T
const { traffic } = await load<{ traffic(population: unknown, side: string, seed: number): Traffic }>('traffic.js')
const { simulate } = await load<{ simulate(messages: unknown, subject: Subject): Promise<readonly unknown[]> }>(
  'simulate.js',
)
const { subjectOf, SUBJECTS } = await load<{
  subjectOf(name: string, names: unknown): Subject
  readonly SUBJECTS: readonly string[]
}>('subjects.js')
const { figures, byRow } = await load<{
  figures(results: readonly unknown[]): Figures
  byRow(results: readonly unknown[]): Map<string, Row>
}>('table.js')
const { sharesPlot, waitingPlot } = await load<{
  sharesPlot(rows: readonly unknown[], title: string): string
  waitingPlot(subjects: readonly unknown[], title: string): string
}>('plots.js')
const { nextAttempt } = await load<{ nextAttempt(retry: Retry, attempt: Attempt): number | null }>('retry.js')
const { plain, guessGroups, readPopulation } = await load<{
  plain(value: unknown, scale?: (group: string) => number): unknown
  guessGroups(value: unknown): Set<string>
  readPopulation(): { readonly [side: string]: readonly { readonly id: string; readonly source: object }[] }
}>('population.js')

const row = (id: string, name: object, retry: object): object => ({
  id,
  share: 1,
  retry,
  pool: { addresses: 1, perAttempt: false },
  organisations: 20,
  host: `mail.${id}{o}.example`,
  senders: `${id}{o}.example`,
  signs: { name, helo: {}, spf: {}, listed: 0 },
})
const AGAIN = { kind: 'list', at: [400], every: 400, giveUp: 86_400 }
const NEVER = { kind: 'none' }
const POPULATION = {
  site: { recipients: 5, wantedPerDay: 20, unwantedPerDay: 10, warmUpDays: 1, measuredDays: 2, familiar: 0.5 },
  wanted: [row('good', {}, AGAIN), row('nameless', { none: 1 }, AGAIN)],
  unwanted: [row('bot', { none: 1 }, NEVER), row('patient', { none: 1 }, AGAIN)],
}

async function run(name: string, side: string, seed = 1): Promise<{ all: Figures; rows: Map<string, Row> }> {
  const { messages, names } = traffic(POPULATION, side, seed)
  const subject = subjectOf(name, names)
  const results = await simulate(messages, subject)
  await subject.close()
  return { all: figures(results), rows: byRow(results) }
}

t.test('without a policy nothing waits, and nothing is stopped', async t => {
  for (const side of ['wanted', 'unwanted']) {
    const { all } = await run('none', side)
    t.ok(all.messages > 10, `${all.messages} messages`)
    t.strictSame([all.delayed, all.longest, all.refused, all.attempts], [0, 0, 0, 1], side)
  }
})

t.test('by default the suspicious wait once, and whoever does not come again is stopped', async t => {
  const wanted = await run('default', 'wanted')
  t.equal(wanted.rows.get('good')?.delayed, 0)
  const nameless = wanted.rows.get('nameless')!
  t.ok(nameless.delayed > 0 && nameless.delayed < nameless.messages, 'some senders are known by then')
  t.strictSame([wanted.all.median, wanted.all.longest, wanted.all.late, wanted.all.refused], [400, 400, 0, 0])
  const unwanted = await run('default', 'unwanted')
  const bot = unwanted.rows.get('bot')!
  t.equal(bot.refused, bot.messages)
  t.equal(unwanted.rows.get('patient')?.refused, 0)
  t.equal(unwanted.all.refused, bot.messages)
})

t.test('the presets hold everybody, Kamaelia Grey for an hour', async t => {
  const postgrey = await run('preset postgrey', 'wanted')
  t.ok(postgrey.rows.get('good')!.delayed > 0)
  t.equal(postgrey.all.longest, 400)
  const kamaelia = await run('preset kamaelia', 'wanted')
  t.equal(kamaelia.all.median, 3600)
})

t.test('the same seed gives the same figures, another seed others', async t => {
  const first = await run('default', 'wanted')
  t.strictSame(await run('default', 'wanted'), first)
  const counts = [...first.rows].map(([id, { messages, delayed }]) => `${id} ${delayed} of ${messages}`)
  t.strictSame(counts, ['good 0 of 16', 'nameless 11 of 22'], 'figures of seed 1')
  t.notSame((await run('default', 'wanted', 2)).all, first.all)
  t.strictSame(SUBJECTS, ['none', 'default', 'default, SPF, a list', 'preset postgrey', 'preset kamaelia'])
})

t.test('pictures: shares as bars, waits as a falling line', t => {
  const results = [0, 0, 600, null].map(delay => ({ message: { isMeasured: true }, delay }))
  const waiting = waitingPlot([['a <b>', results]], 'waits')
  t.match(waiting, /^<svg [^>]*>\n<title>waits<\/title>/)
  t.match(waiting, />a &lt;b>: 50 %</, 'half of it waits')
  const [, steps = ''] = /<path class="line c0" d="M60 52(H[\d.]+V[\d.]+)H/.exec(waiting)!
  const [, at, level] = /H([\d.]+)V([\d.]+)/.exec(steps)!.map(Number) as [number, number, number]
  t.ok(at > 60 && at < 630, 'at ten minutes')
  t.equal(level, 204, 'a quarter is never there')
  const shares = sharesPlot([['policy', 0.25, 0.5]], 'shares')
  t.match(shares, /width="140" .*>25 % delayed</)
  t.match(shares, /width="280" .*>50 % stopped</)
  t.end()
})

t.test('schedules', async t => {
  const after = (retry: Retry, now: number, attempts: number, phase = 0.5): number | null =>
    nextAttempt({ giveUp: 86_400, ...retry }, { start: 1000, now, attempts, phase })
  const qmail = { kind: 'qmail', unit: 400 }
  t.strictSame([after(qmail, 1000, 1), after(qmail, 1400, 2)], [1400, 2600])
  const postfix = { kind: 'postfix', scan: 300, least: 300, most: 4000 }
  t.strictSame([after(postfix, 1000, 1), after(postfix, 1350, 2)], [1350, 1950], 'scans at 150, 450, …')
  const exim = { kind: 'exim', first: 900, for: 7200, every: 3600, factor: 1.5, queueRun: 1800 }
  t.equal(after(exim, 1000, 1, 0), 3600)
  t.equal(after({ kind: 'none' }, 1000, 1), null)
  t.strictSame(
    [after(AGAIN, 1000, 1), after(AGAIN, 1400, 2), after({ ...AGAIN, giveUp: 500 }, 1400, 2)],
    [1400, 1800, null],
  )
  t.equal(after({ kind: 'list', at: 300, double: 2, every: 1000 }, 1300, 2), 1900)
})

t.test('the population: a source for each row, guesses in groups that can be scaled', async t => {
  const population = readPopulation()
  for (const { id, source } of [...population['wanted']!, ...population['unwanted']!]) {
    t.match(JSON.stringify(source), /https:\/\/|http:\/\//, id)
  }
  t.ok(guessGroups(population).has('wanted.*.signs.name.none'))
  const guesses = { wanted: [{ id: 'a', signs: { name: { none: { value: 0.6, guess: true } } } }] }
  const doubled = (group: string): number => (group === 'wanted.*.signs.name.none' ? 2 : 1)
  t.strictSame(plain(guesses), { wanted: [{ id: 'a', signs: { name: { none: 0.6 } } }] })
  t.strictSame(plain(guesses, doubled), { wanted: [{ id: 'a', signs: { name: { none: 1 } } }] }, 'at most certain')
})
