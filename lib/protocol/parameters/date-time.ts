// Internet date and time, as the parameters HOLDUNTIL and RRVS have it.

const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:Z|([+-])(\d\d):(\d\d))$/i

/**
 * Parses a date-time; null for anything else, and for a time that has no year of four digits in UTC: it could not be passed
 * on. A leap second counts as the second before it. [RFC 3339 §5.6]
 */
export function parseDateTime(text: string): Date | null {
  const found = DATE_TIME.exec(text)
  if (found === null) return null
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const [fraction = '', sign, hours = '0', minutes = '0'] = found.slice(7)
  const inRange = hour < 24 && minute < 60 && second <= 60 && Number(hours) < 24 && Number(minutes) < 60
  if (!inRange) return null

  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1) return null // there is no such month, or no such day in it
  date.setUTCHours(hour, minute, Math.min(second, 59), Number(fraction.slice(1, 4).padEnd(3, '0')))
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1)
  const parsed = new Date(date.getTime() - offset * 60_000)
  const yearInUtc = parsed.getUTCFullYear()
  return yearInUtc >= 0 && yearInUtc <= 9999 ? parsed : null
}

/** Formats a date as a date-time in UTC, with milliseconds only if there are any. Throws a RangeError for no date. */
export function formatDateTime(date: Date): string {
  return date.toISOString().replace('.000', '')
}
