// Spans of time for people.

/** A span of milliseconds in seconds, minutes or hours: `59s`, `12m`, `26h`. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 600) return `${seconds}s`
  return seconds < 36_000 ? `${Math.round(seconds / 60)}m` : `${Math.round(seconds / 3600)}h`
}
