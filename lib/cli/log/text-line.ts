// A line of the log for people: time, level, what happened, and the fields.

/** Colours of a terminal. */
const COLOURS: Readonly<Record<string, string>> = { debug: '90', info: '32', warn: '33', error: '31', fatal: '31' }
/** Characters that a terminal acts on. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
const PLAIN = /^[^\s"=,[\]{}]+$/
/** What people need not see: the process, and fields without a value. */
const HIDDEN = new Set(['pid', 'level', 'time', 'stack'])

/** What {@link textLine} shows. */
export interface LineParts {
  readonly level: string
  readonly base: object
  readonly fields: object
  readonly msg: string | undefined
}

/** Formats a line; `now` is its time. No octet of a field can end the line or change the terminal. */
export function textLine({ level, base, fields, msg }: LineParts, hasColours: boolean, now: Date): string {
  const time = now.toTimeString().slice(0, 8)
  const shown = Object.entries({ ...base, ...fields })
    .filter(([key, value]) => !HIDDEN.has(key) && value !== null && value !== undefined)
    .map(([key, value]) => `${paint('90', `${key}=`, hasColours)}${escape(showValue(value))}`)
  const name = paint(COLOURS[level] ?? '', level.padEnd(5), hasColours)
  const { stack } = fields as { readonly stack?: readonly string[] }
  const below = (stack ?? []).map(line => `\n    ${escape(line)}`).join('')
  return [time, name, ...(msg === undefined ? [] : [escape(msg)]), ...shown].join(' ') + below
}

function showValue(value: unknown): string {
  if (typeof value === 'string') return PLAIN.test(value) ? value : JSON.stringify(value)
  if (Array.isArray(value)) return value.map(showValue).join(',')
  try {
    return JSON.stringify(value)
  } catch (error) {
    return (error as Error).message
  }
}

function escape(text: string): string {
  return text.replaceAll(UNSAFE, character => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

function paint(code: string, text: string, hasColours: boolean): string {
  return hasColours && code !== '' ? `\u001b[${code}m${text}\u001b[0m` : text
}
