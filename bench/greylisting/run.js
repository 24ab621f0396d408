// The simulation: who waits, how long, what is lost and what is stopped, by policy; see README.md beside this file.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { guessGroups, plain, readPopulation } from './population.js'
import { hasPostgrey, postgrey } from './postgrey.js'
import { sharesPlot, waitingPlot } from './plots.js'
import { simulate } from './simulate.js'
import { subjectOf, SUBJECTS } from './subjects.js'
import { byRow, duration, figures, markdown, missed, percent } from './table.js'
import { traffic } from './traffic.js'

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string' },
    sweep: { type: 'boolean', default: false },
    groups: { type: 'string', default: '' },
    policies: { type: 'string', default: '' },
    postgrey: { type: 'string', default: '/' },
    clients: { type: 'string' },
    weights: { type: 'string' },
    out: { type: 'string' },
    pictures: { type: 'string' },
  },
})
const SIDES = ['wanted', 'unwanted']
/** What the sweep is about. */
const SWEPT = ['default, SPF, a list']
/** What stands for postgrey in the sweep, where Debian's would take too long. */
const RIVAL = 'preset postgrey'
const weights = options.weights === undefined ? undefined : JSON.parse(options.weights)
const raw = readPopulation()
/** A sweep of one seed takes ten minutes. */
const runs = Number(options.runs ?? (options.sweep ? 1 : 3))
const seeds = Array.from({ length: runs }, (_, i) => Number(options.seed) + i)

/** The results of a side, over all seeds. */
async function resultsOf(population, side, start) {
  const results = []
  for (const seed of seeds) {
    const { messages, names } = traffic(population, side, seed)
    const subject = await start(names)
    results.push(...(await simulate(messages, subject)))
    await subject.close()
  }
  return results
}

async function compare(population) {
  const starts = new Map(
    SUBJECTS.filter(name => ['none', RIVAL].includes(name) || new RegExp(options.policies).test(name)).map(name => [
      name,
      names => subjectOf(name, names, weights),
    ]),
  )
  if (hasPostgrey(options.postgrey)) {
    starts.set("Debian's postgrey, no list", () => postgrey(options.postgrey))
    const list = options.clients ?? '/etc/postgrey/whitelist_clients'
    readFileSync(list) // without the file, postgrey would only warn
    starts.set("Debian's postgrey, its list", () => postgrey(options.postgrey, list))
  }
  const compared = new Map()
  for (const [name, start] of starts) {
    const results = {}
    for (const side of SIDES) results[side] = await resultsOf(population, side, start)
    compared.set(name, { wanted: figures(results.wanted), unwanted: figures(results.unwanted), results })
    console.error(name)
  }
  return compared
}

function comparison(compared) {
  const rival = (compared.get("Debian's postgrey, no list") ?? compared.get(RIVAL)).unwanted.share
  const head =
    'policy|delayed|median|95 %|longest|over 10 min|lost|attempts|unwanted stopped|attempts|goal missed'.split('|')
  const rows = [...compared].map(([name, { wanted, unwanted }]) => [
    name,
    percent(wanted.delayed),
    duration(wanted.median),
    duration(wanted.p95),
    duration(wanted.longest),
    percent(wanted.late),
    wanted.refused,
    wanted.attempts.toFixed(2),
    percent(unwanted.share),
    unwanted.attempts.toFixed(2),
    missed({ wanted, unwanted }, rival).join(', ') || 'met',
  ])
  return markdown(head, rows)
}

/** For each row of the population, what each policy does with it. */
function perRow(compared, side) {
  const names = [...compared.keys()].filter(name => name !== 'none')
  const counts = names.map(name => byRow(compared.get(name).results[side]))
  const cell = ({ messages, delayed, refused }) =>
    side === 'wanted'
      ? `${percent(delayed / messages)}${refused > 0 ? `, ${refused} lost` : ''}`
      : percent(refused / messages)
  const rows = raw[side].filter(({ id }) => counts[0].has(id))
  return markdown(
    [side === 'wanted' ? 'delayed of' : 'stopped of', 'messages', ...names],
    rows.map(({ id }) => [id, counts[0].get(id).messages, ...counts.map(each => cell(each.get(id)))]),
  )
}

/** Each group of guesses, halved and doubled: a side that the group does not touch is not run again. */
async function sweep() {
  const figuresOf = async (population, side, name) =>
    figures(await resultsOf(population, side, names => subjectOf(name, names, weights)))
  const base = {}
  for (const name of [...SWEPT, RIVAL]) {
    base[name] = {}
    for (const side of SIDES) base[name][side] = await figuresOf(plain(raw), side, name)
  }
  const rows = [sweepRow('as committed', '1', base)]
  const groups = [...guessGroups(raw)].filter(group => new RegExp(options.groups).test(group)).toSorted()
  for (const group of groups) {
    for (const factor of [0.5, 2]) {
      const population = plain(raw, each => (each === group ? factor : 1))
      const found = structuredClone(base)
      const sides = SIDES.filter(side => group.startsWith('site') || group.startsWith(`${side}.`))
      for (const name of [...SWEPT, RIVAL]) {
        for (const side of sides) {
          if (name !== RIVAL || side === 'unwanted') found[name][side] = await figuresOf(population, side, name)
        }
      }
      rows.push(sweepRow(group, factor === 2 ? '2' : '½', found))
      console.error(rows.at(-1).join(' | '))
    }
  }
  return markdown(['guess', '×', ...SWEPT.flatMap(name => [name, 'goal missed'])], rows)
}

function sweepRow(group, factor, found) {
  const rival = found[RIVAL].unwanted.share
  return [
    `\`${group}\``,
    factor,
    ...SWEPT.flatMap(name => {
      const { wanted, unwanted } = found[name]
      const cells = [percent(wanted.delayed), `late ${percent(wanted.late)}`, `lost ${wanted.refused}`]
      const gap = (100 * (unwanted.share - rival)).toFixed(1)
      return [`${cells.join(', ')}, stopped ${gap} points`, missed(found[name], rival).join(', ') || 'met']
    }),
  ]
}

/** What the tables show first, as pictures. */
function draw(compared, folder) {
  const about = `${compared.get('none').wanted.messages} wanted, ${compared.get('none').unwanted.messages} unwanted messages, simulated`
  const others = [...compared].filter(([name]) => name !== 'none')
  const curves = others.map(([name, { results }]) => [name, results.wanted])
  const shares = others.map(([name, { wanted, unwanted }]) => [name, wanted.delayed, unwanted.share])
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'greylisting-waiting.svg'), waitingPlot(curves, `How long wanted mail waits (${about})`))
  writeFileSync(join(folder, 'greylisting-shares.svg'), sharesPlot(shares, `Delayed and stopped (${about})`))
}

async function tables() {
  const compared = await compare(plain(raw))
  if (options.pictures !== undefined) draw(compared, options.pictures)
  const { wanted, unwanted } = compared.get('none')
  return [
    `${wanted.messages} wanted and ${unwanted.messages} unwanted messages, seeds ${seeds.join(', ')}` +
      `${weights === undefined ? '' : `, weights ${JSON.stringify(weights)}`}.`,
    comparison(compared),
    perRow(compared, 'wanted'),
    perRow(compared, 'unwanted'),
  ]
}

const report = `${(options.sweep ? [await sweep()] : await tables()).join('\n\n')}\n`
if (options.out === undefined) process.stdout.write(report)
else writeFileSync(options.out, report)
