// Finds the line and column of each key of a TOML file, for errors: the parser returns values, but not their places. It
// reads only texts that the parser has accepted, so it does not check anything.

/** A place in a text; both count from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** Keys and indices from the top of a file down to a value. */
export type KeyPath = readonly (string | number)[]

/** Returns the place of a key, or of the nearest table around it; null if that is not in the file either. */
export type Locate = (path: KeyPath) => Place | null

/** Levels of tables whose places are kept: more than any configuration has. Each level of a key costs time. */
const DEPTH = 8

const BLANK = /[ \t]*/y
const BLANK_LINES = /(?:[ \t\r\n]|#[^\n]*)*/y
const BARE_KEY = /[A-Za-z0-9_-]+/y
const BARE_VALUE = /[^,\]}\r\n#]*/y
const STRINGS = [/"""(?:[^\\]|\\[^])*?"{3,5}/y, /'''[^]*?'{3,5}/y, /"(?:[^"\\\n]|\\.)*"/y, /'[^'\n]*'/y]

/** Finds the places of all keys in a TOML text that the parser has accepted. */
export function locateKeys(toml: string): Locate {
  const offsets = new Map<string, number>()
  const counts = new Map<string, number>() // tables in each array of tables
  let at = 0

  function take(pattern: RegExp): string {
    pattern.lastIndex = at
    const text = pattern.exec(toml)?.[0] ?? ''
    at += text.length
    return text
  }

  function note(path: KeyPath, offset: number): void {
    if (path.length > DEPTH) return
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
          const item = path.length > DEPTH ? path : [...path, index++]
          note(item, at)
          takeValue(item)
        }
      }
      at++
    } else if (takeString() === '' && take(BARE_VALUE) === '') at++
  }

  function takePair(table: KeyPath): void {
    const start = at
    const words = takeKey()
    const path = [...table, ...words].slice(0, DEPTH + 1)
    for (let length = table.length + 1; length <= path.length; length++) note(path.slice(0, length), start)
    take(BLANK)
    at++ // the equals sign
    take(BLANK)
    takeValue(path)
  }

  function takeHeader(): KeyPath {
    const start = at
    const isArray = toml.startsWith('[[', at)
    at += isArray ? 2 : 1
    const words = takeKey()
    at += isArray ? 2 : 1
    let path: KeyPath = []
    words.slice(0, DEPTH + 1).forEach((word, i) => {
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

  const starts = lineStarts(toml)
  return path => {
    for (let length = Math.min(path.length, DEPTH); length > 0; length--) {
      const offset = offsets.get(JSON.stringify(path.slice(0, length)))
      if (offset !== undefined) return placeOf(starts, offset)
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

/** The offset of each line. */
function lineStarts(text: string): number[] {
  return [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)]
}

function placeOf(starts: readonly number[], offset: number): Place {
  let [first, last] = [0, starts.length - 1]
  while (first < last) {
    const middle = Math.ceil((first + last) / 2)
    if (starts[middle]! <= offset) first = middle
    else last = middle - 1
  }
  return { line: first + 1, column: offset - starts[first]! + 1 }
}
