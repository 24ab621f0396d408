// The tables as pictures: SVG, for light and dark pages.

import { escape, round, svg } from '../report/svg.js'

const WIDTH = 860
const LEFT = 230
const RIGHT = 70
const STYLE = `  .line { fill: none; stroke-width: 2 }
  .c0 { stroke: #0969da } .c1 { stroke: #1a7f37 } .c2 { stroke: #9a6700 } .c3 { stroke: #cf222e } .c4 { stroke: #8250df } .c5 { stroke: #656d76 }
  .f0 { fill: #0969da } .f1 { fill: #1a7f37 } .f2 { fill: #9a6700 } .f3 { fill: #cf222e } .f4 { fill: #8250df } .f5 { fill: #656d76 }`
const COLOURS = 6

/** Of the wanted mail, how much is not there yet so long after its first attempt. `subjects`: `[name, results]`. */
export function waitingPlot(subjects, title) {
  const [top, bottom, height] = [52, 64, 420]
  const [least, most] = [30, 8 * 3600]
  const x = seconds => round(60 + (Math.log(seconds / least) / Math.log(most / least)) * (WIDTH - 60 - LEFT))
  const curves = subjects.map(([name, results]) => ({ name, points: waiting(results) }))
  const peak = Math.max(0.01, ...curves.map(({ points }) => points[0].share))
  const y = share => round(top + (1 - share / peak) * (height - top - bottom))
  const times = [60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600]
  const levels = [0, 0.25, 0.5, 0.75, 1].map(part => part * peak)
  const labels = spread(curves.map(({ points }) => y(points[0].share)))
  return picture(height, title, 'share of the wanted mail that waits so long, or longer', [
    ...times.map(
      each => `${vertical(x(each), top, height - bottom)}${text(x(each), height - bottom + 16, span(each), 'middle')}`,
    ),
    ...levels.map(each => `${horizontal(60, WIDTH - LEFT, y(each))}${text(54, y(each) + 4, percent(each), 'end')}`),
    ...curves.map(({ points }, i) => `<path class="line c${i % COLOURS}" d="${path(points, x, y, { least, most })}"/>`),
    ...curves.map(({ name, points }, i) => {
      const label = `${name}: ${percent(points[0].share)}`
      return `<text class="f${i % COLOURS}" x="${WIDTH - LEFT + 10}" y="${labels[i] + 4}">${escape(label)}</text>`
    }),
    text((60 + WIDTH - LEFT) / 2, height - bottom + 36, 'time since the first attempt, logarithmic', 'middle'),
  ])
}

/** Wanted mail delayed and unwanted mail stopped, a bar each. `rows`: `[name, delayed, stopped]`. */
export function sharesPlot(rows, title) {
  const [top, row] = [52, 46]
  const height = top + rows.length * row + 34
  const x = share => round(LEFT + share * (WIDTH - LEFT - RIGHT))
  const bar = (share, y, colour, what) =>
    `<rect class="f${colour}" x="${LEFT}" y="${y}" width="${Math.max(1, x(share) - LEFT)}" height="14" rx="2"/>` +
    text(x(share) + 6, y + 11, `${percent(share)} ${what}`, 'start')
  return picture(height, title, 'of wanted mail: delayed; of unwanted mail: stopped', [
    ...[0, 0.25, 0.5, 0.75, 1].map(
      each => `${vertical(x(each), top, height - 34)}${text(x(each), height - 16, percent(each), 'middle')}`,
    ),
    ...rows.map(
      ([name, delayed, stopped], i) =>
        `<text x="${LEFT - 12}" y="${top + i * row + 24}" text-anchor="end">${escape(name)}</text>` +
        bar(delayed, top + i * row + 4, 3, 'delayed') +
        bar(stopped, top + i * row + 21, 1, 'stopped'),
    ),
  ])
}

/** The share that waits longer than each delay; what is never accepted waits for ever. */
function waiting(results) {
  const counted = results.filter(({ message }) => message.isMeasured)
  const delays = counted.map(({ delay }) => delay ?? Infinity).filter(delay => delay > 0)
  delays.sort((a, b) => a - b)
  const points = [{ after: 0, share: delays.length / counted.length }]
  for (const [i, delay] of delays.entries()) {
    if (delay !== Infinity) points.push({ after: delay, share: (delays.length - i - 1) / counted.length })
  }
  return points
}

function path(points, x, y, { least, most }) {
  let drawn = ''
  let share = 0
  for (const point of points) {
    const at = x(Math.min(most, Math.max(least, point.after)))
    drawn += drawn === '' ? `M${at} ${y(point.share)}` : `H${at}V${y(point.share)}`
    share = point.share
  }
  return `${drawn}H${x(most)}V${y(share)}`
}

/** Moves labels apart that would stand on each other. */
function spread(places) {
  const order = places.map((place, i) => ({ place, i })).toSorted((a, b) => a.place - b.place)
  const moved = []
  let last = -Infinity
  for (const { place, i } of order) moved[i] = last = Math.max(place, last + 16)
  return moved
}

function picture(height, title, subtitle, parts) {
  return svg({ width: WIDTH, height, title, subtitle, style: STYLE }, parts)
}

const vertical = (x, from, to) => `<line class="grid" x1="${x}" x2="${x}" y1="${from}" y2="${to}"/>`
const horizontal = (from, to, y) => `<line class="grid" x1="${from}" x2="${to}" y1="${y}" y2="${y}"/>`
const text = (x, y, words, anchor) =>
  `<text class="faint" x="${x}" y="${y}" text-anchor="${anchor}">${escape(words)}</text>`
const span = seconds => (seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`)

function percent(share) {
  const value = 100 * share
  return `${value === 0 || value >= 10 ? Math.round(value) : value.toPrecision(2)} %`
}
