// docs/performance.md and its plots, out of what was measured.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { digits, median, ratios } from '../statistics.js'
import { judge } from '../targets.js'
import { NETWORK_LOADS } from '../workloads/network.js'
import { plot } from './plot.js'
import { summary } from './summary.js'

/** Tables with a row for each server, this project's first: the others can be compared with it. */
const ONE_ROW_EACH = new Set([...Object.keys(NETWORK_LOADS), 'slow', 'relayLarge', 'relayKept', 'relayNew'])

/** Writes the page and a plot for each table into `folder`. */
export function writeReport(folder, { tables, about }) {
  const plots = join(folder, 'performance')
  mkdirSync(plots, { recursive: true })
  for (const table of tables) writeFileSync(join(plots, `${table.key}.svg`), plot(plotOf(table)))
  writeFileSync(join(folder, 'performance.md'), page(tables, about))
}

/** The table of targets, in Markdown. */
export function targetTable(tables) {
  return markdown(
    ['load', 'what', 'against', 'wanted', 'median of the ratios', 'least – greatest', 'reached'],
    judge(tables).map(({ title, name, against, atMost, atLeast, ratio, min, max, reached }) => [
      title,
      name,
      against,
      atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`,
      digits(ratio),
      `${digits(min)} – ${digits(max)}`,
      reached ? 'yes' : '**no**',
    ]),
  )
}

function page(tables, { date, command, machine, versions, load }) {
  return [
    '# Performance',
    'What a mail costs the server, in processor time of this machine; the tables below have the spread.',
    summary(tables),
    `Written by \`${command}\` on ${date}; see [bench/](../bench/README.md) for what is measured and how.`,
    `Machine: ${machine}. Load average when it began: ${load}.`,
    `Versions: ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}.`,
    'CPU is that of the server process with all its threads, user and system. Rounds are interleaved; every ratio is taken within a round, and the median of these is what counts. `floor` is the least that Node can do: canned replies, no checks.',
    '## Targets',
    targetTable(tables),
    ...tables.flatMap(table => [
      `## ${table.title}`,
      `![${table.title}](performance/${table.key}.svg)`,
      figureTable(table),
    ]),
  ]
    .join('\n\n')
    .concat('\n')
}

function figureTable({ figures, besides, unit, beside, key }) {
  const own = ONE_ROW_EACH.has(key) ? Object.keys(figures)[0] : undefined
  const heads = ['', `${unit}, median`, 'least – greatest', ...(beside ? [beside] : []), ...(own ? [`${own} is`] : [])]
  const rows = Object.entries(figures).map(([name, all]) => [
    name,
    digits(median(all)),
    `${digits(Math.min(...all))} – ${digits(Math.max(...all))}`,
    ...(beside ? [digits(median(besides[name]))] : []),
    ...(own ? [own === name ? '' : `× ${digits(median(ratios(figures[own], all)))}`] : []),
  ])
  return markdown(heads, rows)
}

function plotOf({ title, unit, figures }) {
  const rows = Object.entries(figures).map(([label, all]) => ({
    label,
    own: /^(mailhandler|MailHandler|SmtpHandler|\d workers?)/.test(label),
    min: Math.max(1e-3, Math.min(...all)),
    median: Math.max(1e-3, median(all)),
    max: Math.max(1e-3, ...all),
    text: digits(median(all)),
  }))
  return { title, unit, rows }
}

function markdown(heads, rows) {
  const line = cells => `| ${cells.join(' | ')} |`
  return [line(heads), line(heads.map((_head, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}
