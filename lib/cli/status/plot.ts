// A plot of the last hour: a bar for each minute, a colour for each kind, as SVG.

import { html, trusted, type Html } from '../../web/html.ts'
import type { CountName } from './facts.ts'
import type { Minute } from './book.ts'

/** A kind of bars: its count, its words in the legend. */
export interface Series {
  readonly name: CountName
  readonly label: string
}

const HEIGHT = 120
const BAR = 8
const STEP = 10
const LEFT = 40
const BOTTOM = HEIGHT + 10

/** Returns the contents of the `<svg>` of a plot; its size is {@link PLOT_BOX}. */
export function plot(minutes: readonly Minute[], series: readonly Series[]): Html {
  const highest = Math.max(...minutes.map(minute => series.reduce((sum, { name }) => sum + minute[name], 0)))
  const top = roundUp(highest)
  const base = minutes.map(() => 0)
  const bars = series.map(({ name }, i) => {
    const path = minutes.map((minute, x) => bar(x, minute[name], base, top)).join('')
    return html`<path class="series${i}" d="${path}" />`
  })
  const line = (count: number): Html => {
    const y = BOTTOM - (count / top) * HEIGHT
    return html`<line
        x1="${LEFT}"
        x2="${LEFT + minutes.length * STEP}"
        y1="${y}"
        y2="${y}"
      />${label(LEFT - 6, y + 4, 'end', count)}`
  }
  const right = LEFT + minutes.length * STEP
  return html`${[top, top / 2, 0].map(line)}${bars}${label(LEFT, BOTTOM + 18, 'start', '60 minutes ago')}${label(right, BOTTOM + 18, 'end', 'now')}`
}

/** The `viewBox` of a plot of 60 minutes. */
export const PLOT_BOX: Html = trusted(`0 0 ${LEFT + 60 * STEP + 4} ${BOTTOM + 26}`)

function label(x: number, y: number, anchor: string, text: string | number): Html {
  return html`<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`
}

/** A bar on top of those that `base` has at `x` already. */
function bar(x: number, count: number, base: number[], top: number): string {
  if (count === 0) return ''
  const from = base[x]!
  base[x] = from + count
  const height = round((count / top) * HEIGHT)
  return `M${LEFT + x * STEP + 1} ${round(BOTTOM - (from / top) * HEIGHT)}v${-height}h${BAR}v${height}z`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

/** The next even number of one digit and zeros: 2, 4, 6, 8, 10, 20, 40 … */
function roundUp(count: number): number {
  if (count <= 2) return 2
  const step = 10 ** Math.floor(Math.log10(count))
  const rounded = Math.ceil(count / step) * step
  return rounded % 2 === 0 ? rounded : rounded + step
}
