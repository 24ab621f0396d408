// Where each key of a TOML file stands, for errors: its parser tells values, but not their places. The text has been
// parsed before, so that this only has to find its way, not to judge.

/** A place in a text, both from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** Keys and indices from the top of a file down to a value. */
export type KeyPath = readonly (string | number)[]

/** The place of what a path leads to, or of the nearest table around it; null where not even that is in the file. */
export type Locate = (path: KeyPath) => Place | null

const BLANK = /[ \t]*/y
const BLANK_LINES = /(?:[ \t\r\n]|#[^\n]*)*/y
const BARE_KEY = /[A-Za-z0-9_-]+/y
const BARE_VALUE = /[^,\]}\r\n#]*/y
const STRINGS = [/"""(?:[^\\]|\\[^])*?"{3,5}/y, /'''[^]*?'{3,5}/y, /"(?:[^"\\\n]|\\.)*"/y, /'[^'\n]*'/y]

/** Reads where everything stands in a TOML text that parses. */
export function locateKeys(toml: string): Locate {
  const offsets = new Map<string, number>()
  const counts = new Map<string, number>() // of the tables in arrays of tables
  let at = 0

  function take(pattern: RegExp): string {
    pattern.lastIndex = at
    const text = pattern.exec(toml)?.[0] ?? ''
    at += text.length
    return text
  }

  function note(path: KeyPath, offset: number): void {
    const key = JSON.stringify(path)
    if (!offsets.has(key)) offsets.set(key, offset)
  }

  function takeString(): string {
    for (const pattern of STRINGS) {
      const text = take(pattern)
      if (text !== '') return text
    }
    return ''
  }

  function takeKey(): string[] {
    const words: string[] = []
    do {
      if (toml[at] === '.') at++
      take(BLANK)
      const quoted = takeString()
      words.push(quoted === '' ? take(BARE_KEY) : unquote(quoted))
      take(BLANK)
    } while (toml[at] === '.')
    return words
  }

  function takeValue(path: KeyPath): void {
    const opening = toml[at]
    if (opening === '[' || opening === '{') {
      at++
      let index = 0
      for (take(BLANK_LINES); at < toml.length && toml[at] !== ']' && toml[at] !== '}'; take(BLANK_LINES)) {
        if (toml[at] === ',') at++
        else if (opening === '{') takePair(path)
        else {
          note([...path, index], at)
          takeValue([...path, index++])
        }
      }
      at++
    } else if (takeString() === '' && take(BARE_VALUE) === '') at++
  }

  function takePair(table: KeyPath): void {
    const start = at
    const words = takeKey()
    words.forEach((_, i) => note([...table, ...words.slice(0, i + 1)], start))
    take(BLANK)
    at++ // the equals sign
    take(BLANK)
    takeValue([...table, ...words])
  }

  function takeHeader(): KeyPath {
    const start = at
    const isArray = toml.startsWith('[[', at)
    at += isArray ? 2 : 1
    const words = takeKey()
    at += isArray ? 2 : 1
    let path: KeyPath = []
    words.forEach((word, i) => {
      path = [...path, word]
      note(path, start)
      const key = JSON.stringify(path)
      const last = i === words.length - 1
      if (last && isArray) counts.set(key, (counts.get(key) ?? 0) + 1)
      const count = counts.get(key)
      if (count === undefined) return
      path = [...path, count - 1]
      note(path, start)
    })
    return path
  }

  let table: KeyPath = []
  for (take(BLANK_LINES); at < toml.length; take(BLANK_LINES)) {
    if (toml[at] === '[') table = takeHeader()
    else takePair(table)
  }

  return path => {
    for (let length = path.length; length > 0; length--) {
      const offset = offsets.get(JSON.stringify(path.slice(0, length)))
      if (offset !== undefined) return placeOf(toml, offset)
    }
    return null
  }
}

function unquote(text: string): string {
  if (text.startsWith("'")) return text.slice(1, -1)
  try {
    return String(JSON.parse(text))
  } catch {
    return text.slice(1, -1) // an escape that only TOML knows
  }
}

function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  return { line, column: offset - before.lastIndexOf('\n') }
}
