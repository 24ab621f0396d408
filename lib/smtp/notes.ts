// What policies learn of a session or a transaction, typed, for those that are asked after them.

/** The key of a note; made by {@link noteKey}. */
export interface NoteKey<T> {
  /** For error messages and logs. */
  readonly name: string
  /** Never set: it carries the type of the note. */
  readonly note?: T
}

/**
 * Makes the key of a note: `const spf = noteKey<SpfResult>('spf')`, then `session.notes.set(spf, result)`. Two keys are
 * different notes, even if they have the same name.
 */
export function noteKey<T>(name: string): NoteKey<T> {
  return Object.freeze({ name })
}

/** Notes by their keys. */
export class Notes {
  readonly #notes: Map<NoteKey<unknown>, unknown>

  /** Made by a session or a transaction alone; `from` is copied. */
  constructor(from?: Notes) {
    this.#notes = new Map(from === undefined ? [] : from.#notes)
  }

  /** The note, or undefined if nobody has made it. */
  get<T>(key: NoteKey<T>): T | undefined {
    return this.#notes.get(key) as T | undefined
  }

  /** Makes the note, or replaces it. */
  set<T>(key: NoteKey<T>, note: T): void {
    this.#notes.set(key, note)
  }

  /** Removes the note; false if there was none. */
  delete(key: NoteKey<unknown>): boolean {
    return this.#notes.delete(key)
  }
}
