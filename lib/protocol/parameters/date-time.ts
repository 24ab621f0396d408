// Internet date and time, as the parameters HOLDUNTIL and RRVS give it.

const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:Z|([+-])(\d\d):(\d\d))$/i

/** A date-time of [RFC 3339 §5.6], null for anything else. A leap second counts as the second before it. */
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
  const [fraction = '0', sign, hours = '0', minutes = '0'] = found.slice(7)
  const inRange = hour < 24 && minute < 60 && second <= 60 && Number(hours) < 24 && Number(minutes) < 60
  if (!inRange || month < 1 || month > 12) return null

  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || day < 1) return null
  date.setUTCHours(hour, minute, Math.min(second, 59), Math.floor(Number(fraction) * 1000))
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1)
  return new Date(date.getTime() - offset * 60_000)
}
