// A table as an SVG: a dot at each median, a line from the least figure to the greatest, on a logarithmic scale.

import { escape, round, svg } from './svg.js'

const ROW = 22
const LEFT = 290
const PLOT = 460
const RIGHT = 80
const TOP = 52
const BOTTOM = 34

const STYLE = `  .range { stroke: #8c959f; stroke-width: 3; stroke-linecap: round }
  .dot { fill: #57606a }
  .own { fill: #0969da; font-weight: 600 }`
const DARK = ' .dot { fill: #9198a1 } .own { fill: #4493f8 }'

/** `rows`: `{ label, own, min, median, max, text }`, `own` where it is this project's. */
export function plot({ title, unit, rows }) {
  const height = TOP + rows.length * ROW + BOTTOM
  const width = LEFT + PLOT + RIGHT
  const ticks = ticksFor(Math.min(...rows.map(row => row.min)), Math.max(...rows.map(row => row.max)))
  const x = scale(ticks[0], ticks.at(-1))
  const bottom = height - BOTTOM
  const subtitle = `${unit}: median, least and greatest; less is better unless it is a rate; logarithmic`
  return svg({ width, height, title, subtitle, style: STYLE, dark: DARK }, [
    ...ticks.map(tick => grid(x(tick), tick, bottom)),
    ...rows.map((row, index) => dot(row, x, TOP + index * ROW + ROW / 2)),
  ])
}

function grid(x, tick, bottom) {
  return (
    `<line class="grid" x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom}"/>` +
    `<text class="faint" x="${x}" y="${bottom + 18}" text-anchor="middle">${tick.toLocaleString('en')}</text>`
  )
}

function dot({ label, own, min, median, max, text }, x, y) {
  const mark = own ? ' own' : ''
  return (
    `<text class="${mark.trim()}" x="${LEFT - 12}" y="${y + 4}" text-anchor="end">${escape(label)}</text>` +
    `<line class="range" x1="${x(min)}" x2="${x(max)}" y1="${y}" y2="${y}"/>` +
    `<circle class="dot${mark}" cx="${x(median)}" cy="${y}" r="5"/>` +
    `<text class="faint" x="${round(x(max) + 10)}" y="${y + 4}">${text}</text>`
  )
}

function scale(from, to) {
  const [low, high] = [Math.log(from), Math.log(to)]
  return value => round(LEFT + ((Math.log(value) - low) / (high - low)) * PLOT)
}

/** 1, 2, 5, 10, … around the figures; powers of ten where those would be many. */
function ticksFor(least, greatest) {
  const steps = greatest / least > 1000 ? [1] : [1, 2, 5]
  const all = []
  for (let power = -3; power < 9; power += 1)
    all.push(...steps.map(step => Number((step * 10 ** power).toPrecision(1))))
  const first = all.findLastIndex(tick => tick <= least)
  const last = all.findIndex(tick => tick >= greatest)
  return all.slice(Math.max(0, first), Math.max(last, first + 1) + 1)
}
