// Medians, and ratios within rounds.

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** What one subject's samples are to another's, round by round: what the machine does at the time goes out of it. */
export function ratios(samples, others) {
  return samples.map((sample, round) => sample / others[round])
}

/** Two or three digits that count. */
export function digits(value) {
  if (value >= 100) return Math.round(value).toLocaleString('en')
  if (value >= 10) return value.toFixed(1)
  return value >= 0.1 || value === 0 ? value.toFixed(2) : value.toPrecision(2)
}
