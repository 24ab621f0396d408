// What to do about a TOML syntax error, by the parser's reason.

const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/escape/, 'write a backslash twice, or the text in single quotes'],
  [/unfinished string|in strings/, 'close a text with the quote that it begins with, on the same line'],
  [
    /invalid value|numeric|integer/,
    'write a text in double quotes, as "mx.example.org" or "50MB", and true or false in lower case',
  ],
  [/date|time/, 'write a text in double quotes'],
  [/redefine/, 'a key or a table may be there once: delete one of the two'],
  [/comma|array$|unfinished table/, 'separate the members by commas, and close the list with ] or the table with }'],
  [/end-of-line/, 'write one key = value on a line'],
  [/table array/, 'write [[name]] with two brackets on each side'],
  [/key|property/, 'a line is key = value, a [table], a [[table]] of a list, or a # comment'],
]

/** Returns what to do about a syntax error; `reason` is what the parser said. */
export function tomlAdvice(reason: string): string {
  return ADVICE.find(([pattern]) => pattern.test(reason))?.[1] ?? 'see docs/configuration.md and https://toml.io'
}
