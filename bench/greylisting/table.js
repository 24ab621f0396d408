// From results to figures, and from figures to Markdown.

const GOAL = { delayed: 0.01, longest: 600, points: 0.02 }

/** The figures of one side. Delays are those of delayed mail alone, in seconds. */
export function figures(results) {
  const counted = results.filter(({ message }) => message.isMeasured)
  const delays = counted.flatMap(({ delay }) => (delay !== null && delay > 0 ? [delay] : [])).toSorted((a, b) => a - b)
  const at = share => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? 0
  const refused = counted.filter(({ delay }) => delay === null).length
  return {
    messages: counted.length,
    delayed: delays.length / counted.length,
    median: at(0.5),
    p95: at(0.95),
    longest: delays.at(-1) ?? 0,
    late: delays.filter(delay => delay > GOAL.longest).length / counted.length,
    refused,
    share: refused / counted.length,
    attempts: counted.reduce((sum, { attempts }) => sum + attempts, 0) / counted.length,
  }
}

/** Which parts of the goal are missed; `rival` is the share of unwanted mail that postgrey stops. */
export function missed({ wanted, unwanted }, rival) {
  return [
    ...(wanted.delayed > GOAL.delayed ? ['delayed'] : []),
    ...(wanted.longest > GOAL.longest ? ['over 10 minutes'] : []),
    ...(wanted.refused > 0 ? ['lost'] : []),
    ...(unwanted.share < rival - GOAL.points ? ['stopped'] : []),
  ]
}

/** How much mail of each row of the population is delayed, and how much is lost. */
export function byRow(results) {
  const rows = new Map()
  for (const { message, delay } of results) {
    if (!message.isMeasured) continue
    const row = rows.get(message.row.id) ?? { messages: 0, delayed: 0, refused: 0 }
    row.messages++
    if (delay === null) row.refused++
    else if (delay > 0) row.delayed++
    rows.set(message.row.id, row)
  }
  return rows
}

export const percent = share => `${(100 * share).toFixed(2)} %`

export function duration(seconds) {
  if (seconds === 0) return '–'
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`
}

export function markdown(head, rows) {
  const line = cells => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}
