// The caught messages: in memory or in a folder, with a limit of both numbers and octets.

import { warn } from '../../log/warn.ts'
import type { Catch } from '../../testing/catch/catching-server.ts'
import { Kept } from '../../testing/catch/kept.ts'
import type { ParsedMail, ParseMail } from '../../testing/catch/parsed-mail.ts'
import type { SessionRecord } from '../../testing/catch/session-record.ts'
import { dialogueView, entryOf, matchesSearch, type DialogueView, type MailEntry } from './entry.ts'
import type { MailFiles } from './mail-files.ts'

/** What the store tells of. */
export interface StoreEvents {
  /** A message is there. */
  added(entry: MailEntry): void
  /** Messages are gone: deleted, or pushed out by the limits. */
  removed(ids: readonly string[]): void
}

/** How much the store holds. */
export interface StoreLimits {
  readonly messages: number
  readonly octets: number
}

/** A message in the store. In a folder, only its entry is in memory. */
interface Stored {
  readonly entry: MailEntry
  readonly raw: Buffer | null
  readonly session: SessionRecord | null
}

/** A part of the list. */
export interface Page {
  /** How many fit the search. */
  readonly total: number
  /** The newest first. */
  readonly entries: readonly MailEntry[]
}

/** The caught messages. */
export class MailStore {
  readonly #kept: Kept<Stored>
  readonly #byId = new Map<string, Stored>()
  readonly #files: MailFiles | null
  readonly #parse: ParseMail
  readonly #events: StoreEvents
  /** The message that was opened last, in its parts. */
  #opened: { readonly id: string; readonly mail: ParsedMail } | null = null

  constructor(limits: StoreLimits, files: MailFiles | null, parse: ParseMail, events: StoreEvents) {
    this.#files = files
    this.#parse = parse
    this.#events = events
    let isFilled = false // Nobody has heard of what the folder has beyond the limits.
    this.#kept = new Kept(limits.messages, limits.octets, stored => this.#forget(stored, isFilled))
    for (const entry of files?.read() ?? []) this.#keep({ entry, raw: null, session: null }, entry.size)
    isFilled = true
  }

  /** How many messages there are. */
  get size(): number {
    return this.#kept.size
  }

  /** Octets of all messages. */
  get octets(): number {
    return this.#kept.octets
  }

  /** How many messages the limits have pushed out. */
  get dropped(): number {
    return this.#kept.dropped
  }

  /** Takes a message; resolves when it is in the list, and in the folder. */
  async add(caught: Catch): Promise<void> {
    const { raw, session } = caught
    const entry = entryOf(caught, await this.#parse(raw))
    const octets = raw.length + session.takeOctets() + JSON.stringify(entry).length
    if (this.#files === null) this.#keep({ entry, raw, session }, octets)
    else {
      await this.#files.write({ entry, dialogue: dialogueView(session) }, raw)
      this.#keep({ entry, raw: null, session: null }, octets)
    }
    this.#events.added(entry)
  }

  /** A part of the messages that fit a search, the newest first. */
  page(search: string, start: number, limit: number): Page {
    const all = this.#kept.all
    const found = search === '' ? all : all.filter(({ entry }) => matchesSearch(entry, search))
    const from = Math.max(0, found.length - start - limit)
    const entries = found.slice(from, Math.max(0, found.length - start)).map(({ entry }) => entry)
    return { total: found.length, entries: entries.toReversed() }
  }

  /** The entry of a message; `latest` is the newest. Null if it is not there. */
  entry(id: string): MailEntry | null {
    return this.#find(id)?.entry ?? null
  }

  /** A message by its id, or the newest by `latest`. */
  #find(id: string): Stored | undefined {
    return id === 'latest' ? this.#kept.all.at(-1) : this.#byId.get(id)
  }

  /** The octets of a message; null if it is not there. */
  async raw(id: string): Promise<Buffer | null> {
    const stored = this.#find(id)
    if (stored === undefined) return null
    return stored.raw ?? this.#files!.raw(stored.entry.id).catch(() => null)
  }

  /** The parts of a message; null if it is not there. */
  async mail(id: string): Promise<ParsedMail | null> {
    if (this.#opened?.id === id) return this.#opened.mail
    const raw = await this.raw(id)
    if (raw === null) return null
    const mail = await this.#parse(raw)
    if (this.#byId.has(id)) this.#opened = { id, mail }
    return mail
  }

  /** The dialogue of the session of a message; null if the message is not there. */
  async dialogue(id: string): Promise<DialogueView | null> {
    const stored = this.#find(id)
    if (stored === undefined) return null
    if (stored.session !== null) return dialogueView(stored.session)
    return this.#files!.dialogue(stored.entry.id).catch(() => null)
  }

  /** Deletes messages; without a list, all. Returns how many there were. */
  remove(ids: readonly string[] | null): number {
    const wanted = ids === null ? null : new Set(ids)
    const removed = this.#kept.remove(({ entry }) => wanted === null || wanted.has(entry.id))
    for (const stored of removed) this.#forget(stored, false)
    if (removed.length > 0) this.#events.removed(removed.map(({ entry }) => entry.id))
    return removed.length
  }

  #keep(stored: Stored, octets: number): void {
    this.#byId.set(stored.entry.id, stored)
    this.#kept.add(stored, octets)
  }

  #forget({ entry: { id } }: Stored, tells: boolean): void {
    this.#byId.delete(id)
    if (this.#opened?.id === id) this.#opened = null
    this.#files?.remove(id).catch(warn)
    if (tells) this.#events.removed([id])
  }
}
