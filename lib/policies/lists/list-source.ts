// Where the entries of a list come from: the options, or a file that is watched and swapped whole.
//
//   file changes ─→ the same at two looks ─→ every line is an entry? ─ yes ─→ the new list is used from now on
//                                                                    └ no ──→ the old one stays; onChange has line and reason

import { readFileSync, statSync, type Stats } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { MailHandlerError } from '../../words/errors.ts'
import { checkKeys, checkList, show, wrong } from '../../words/option-checks.ts'
import { printable } from '../../words/printable.ts'

/** A file with one entry a line; empty lines, and what is behind a `#`, are left out. */
export interface ListFile {
  /** Its path. */
  readonly file: string
  /** Milliseconds between two looks at it; a change counts once two of them have found the same. @defaultValue 2,000 */
  readonly interval?: number | undefined
  /** Called when the file was read again: with null if its list is used from now on, else with what is wrong with it. */
  readonly onChange?: ((problem: MailHandlerError | null, file: string) => void) | undefined
}

/** Entries, or the file that has them. */
export type ListSource = Iterable<string> | ListFile

/** A list as it is now. */
export interface LiveList<T> {
  readonly current: T
  /** Ends watching; the list stays as it is. */
  close(): void
}

/** An entry that is right by itself, and wrong together with the others. */
export class EntryError extends MailHandlerError {
  /** Which entry it is, from 0 on. */
  readonly index: number

  constructor(index: number, message: string) {
    super('ERR_OPTION', message)
    this.index = index
  }
}

/** Makes a list of entries. Throws `ERR_OPTION` for an entry that is wrong. */
export type CompileList<T> = (entries: Iterable<string>) => T

/**
 * The list of a source. Throws `ERR_OPTION` if an entry is wrong, or the file cannot be read; later on a file that is wrong
 * changes nothing. Watching keeps no process alive, and ends when the list is no longer used.
 */
export function liveList<T>(name: string, source: ListSource, compile: CompileList<T>): LiveList<T> {
  if (typeof source !== 'object' || !('file' in source)) {
    checkList(name, source)
    return { current: compile(source), close() {} }
  }
  return new WatchedList(name, source, compile)
}

class WatchedList<T> implements LiveList<T> {
  readonly #file: ListFile
  readonly #compile: CompileList<T>
  readonly #timer: NodeJS.Timeout
  #current: T
  /** Of the file that was read last. */
  #version: string
  /** The text of another version, at the last look: whoever writes it may not have come to its end. */
  #pending: string | null = null
  #isLooking = false

  constructor(name: string, source: ListFile, compile: CompileList<T>) {
    checkKeys(name, source, ['file', 'interval', 'onChange'])
    const { file, interval = 2000 } = source
    if (typeof file !== 'string' || file === '') throw wrong(`${name}.file is a path, not ${show(file)}`)
    if (!(interval >= 1)) throw wrong(`${name}.interval is a number of milliseconds, not ${show(interval)}`)
    this.#file = source
    this.#compile = compile
    try {
      this.#version = versionOf(statSync(file)) // before it is read, so that no change is missed
      this.#current = compileText(file, readFileSync(file, 'utf8'), compile)
    } catch (error) {
      throw unreadable(file, error)
    }
    this.#timer = watch(interval, new WeakRef(this))
  }

  get current(): T {
    return this.#current
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Reads the file again if it is another one than before. */
  async look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    const { file, onChange = () => {} } = this.#file
    let problem: MailHandlerError | null = null
    const before = this.#version
    try {
      const version = versionOf(await stat(file))
      if (version !== before) this.#take(version, await readFile(file, 'utf8'))
    } catch (error) {
      problem = unreadable(file, error)
      if (problem.cause !== undefined) this.#version = problem.message
    } finally {
      this.#isLooking = false
    }
    if (this.#version === before) return
    try {
      onChange(problem, file)
    } catch {} // A log that fails does not stop the list.
  }

  /** Half a file must not become the list: two looks have to find the same text. */
  #take(version: string, text: string): void {
    const isSettled = text === this.#pending
    this.#pending = isSettled ? null : text
    if (!isSettled) return
    this.#version = version
    this.#current = compileText(this.#file.file, text, this.#compile)
  }
}

function watch(interval: number, list: WeakRef<WatchedList<unknown>>): NodeJS.Timeout {
  const timer = setInterval(() => {
    const watched = list.deref()
    if (watched === undefined) clearInterval(timer)
    else void watched.look()
  }, interval)
  return timer.unref()
}

/** Differs if the file was written or replaced. */
function versionOf({ mtimeMs, ctimeMs, ino, size }: Stats): string {
  return `${mtimeMs} ${ctimeMs} ${ino} ${size}`
}

/** The list of a text, or `ERR_OPTION` with the first line that is no entry. */
function compileText<T>(file: string, text: string, compile: CompileList<T>): T {
  const entries = new Map<number, string>()
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const entry = line.replace(/(?:^|\s)#.*$/, '').trim()
    if (entry !== '') entries.set(i + 1, entry)
  }
  try {
    return compile(entries.values())
  } catch (cause) {
    if (cause instanceof EntryError) {
      throw wrong(`${file}:${[...entries.keys()][cause.index]}: ${printable(cause.message, 300)}`)
    }
    for (const [line, entry] of entries) {
      try {
        compile([entry])
      } catch (error) {
        throw wrong(`${file}:${line}: ${printable((error as Error).message, 300)}`)
      }
    }
    throw cause
  }
}

/** What is wrong with a line, or that the file cannot be read, which has a cause. */
function unreadable(file: string, cause: unknown): MailHandlerError {
  if (cause instanceof MailHandlerError) return cause
  const { code = 'unknown' } = cause as NodeJS.ErrnoException
  return new MailHandlerError('ERR_OPTION', `${file}: cannot be read: ${code}`, { cause })
}
