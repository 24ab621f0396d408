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

/** Reads a TOML text that the parser has accepted, and keeps the offset of each key. */
class KeyReader {
  readonly offsets = new Map<string, number>()
  readonly #toml: string
  /** Tables in each array of tables. */
  readonly #counts = new Map<string, number>()
  #at = 0

  constructor(toml: string) {
    this.#toml = toml
  }

  read(): void {
    let table: KeyPath = []
    for (this.#take(BLANK_LINES); this.#at < this.#toml.length; this.#take(BLANK_LINES)) {
      if (this.#toml[this.#at] === '[') table = this.#takeHeader()
      else this.#takePair(table)
    }
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const text = pattern.exec(this.#toml)?.[0] ?? ''
    this.#at += text.length
    return text
  }

  #note(path: KeyPath, offset: number): void {
    if (path.length > DEPTH) return
    const key = JSON.stringify(path)
    if (!this.offsets.has(key)) this.offsets.set(key, offset)
  }

  #takeString(): string {
    for (const pattern of STRINGS) {
      const text = this.#take(pattern)
      if (text !== '') return text
    }
    return ''
  }

  #takeKey(): string[] {
    const words: string[] = []
    do {
      if (this.#toml[this.#at] === '.') this.#at++
      this.#take(BLANK)
      const quoted = this.#takeString()
      words.push(quoted === '' ? this.#take(BARE_KEY) : unquote(quoted))
      this.#take(BLANK)
    } while (this.#toml[this.#at] === '.')
    return words
  }

  #takeValue(path: KeyPath): void {
    const opening = this.#toml[this.#at]
    if (opening === '[' || opening === '{') {
      this.#at++
      let index = 0
      for (
        this.#take(BLANK_LINES);
        this.#at < this.#toml.length && this.#toml[this.#at] !== ']' && this.#toml[this.#at] !== '}';
        this.#take(BLANK_LINES)
      ) {
        if (this.#toml[this.#at] === ',') this.#at++
        else if (opening === '{') this.#takePair(path)
        else {
          const item = path.length > DEPTH ? path : [...path, index++]
          this.#note(item, this.#at)
          this.#takeValue(item)
        }
      }
      this.#at++
    } else if (this.#takeString() === '' && this.#take(BARE_VALUE) === '') this.#at++
  }

  #takePair(table: KeyPath): void {
    const start = this.#at
    const words = this.#takeKey()
    const path = [...table, ...words].slice(0, DEPTH + 1)
    for (let length = table.length + 1; length <= path.length; length++) this.#note(path.slice(0, length), start)
    this.#take(BLANK)
    this.#at++ // the equals sign
    this.#take(BLANK)
    this.#takeValue(path)
  }

  #takeHeader(): KeyPath {
    const start = this.#at
    const isArray = this.#toml.startsWith('[[', this.#at)
    this.#at += isArray ? 2 : 1
    const words = this.#takeKey()
    this.#at += isArray ? 2 : 1
    let path: KeyPath = []
    words.slice(0, DEPTH + 1).forEach((word, i) => {
      path = [...path, word]
      this.#note(path, start)
      const key = JSON.stringify(path)
      const last = i === words.length - 1
      if (last && isArray) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
      const count = this.#counts.get(key)
      if (count === undefined) return
      path = [...path, count - 1]
      this.#note(path, start)
    })
    return path
  }
}

/** Finds the places of all keys in a TOML text that the parser has accepted. */
export function locateKeys(toml: string): Locate {
  const reader = new KeyReader(toml)
  reader.read()
  const starts = lineStarts(toml)
  return path => {
    for (let length = Math.min(path.length, DEPTH); length > 0; length--) {
      const offset = reader.offsets.get(JSON.stringify(path.slice(0, length)))
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
