// The caught messages: in memory or in a folder, with a limit of both numbers and octets.

import type { Readable } from 'node:stream'
import { warn } from '../../log/warn.ts'
import type { Catch } from '../../testing/catch/catching-server.ts'
import { Kept } from '../../testing/catch/kept.ts'
import type { ParsedMail, ParseMail } from '../../testing/catch/parsed-mail.ts'
import { SessionOctets } from '../../testing/catch/session-octets.ts'
import type { SessionRecord } from '../../testing/catch/session-record.ts'
import { dialogueView, entryOf, type DialogueView, type MailEntry } from './entry.ts'
import type { MailFiles } from './mail-files.ts'
import { SearchIndex } from './search-index.ts'
import { searchText } from './search-text.ts'

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
  readonly #index = new SearchIndex(id => this.#searchText(id))
  readonly #sessions = new SessionOctets<Stored>((stored, octets) => this.#kept.grow(stored, octets))
  /** The message that was opened last, in its parts. */
  #opened: { readonly id: string; readonly mail: ParsedMail } | null = null

  constructor(limits: StoreLimits, files: MailFiles | null, parse: ParseMail, events: StoreEvents) {
    this.#files = files
    this.#parse = parse
    this.#events = events
    let isFilled = false // What the folder has beyond the limits was never in the list, so no event tells that it is gone.
    this.#kept = new Kept(limits.messages, limits.octets, stored => this.#forget(stored, isFilled))
    for (const { entry, octets } of files?.read() ?? []) this.#keep({ entry, raw: null, session: null }, octets)
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
    const { raw, session, signal } = caught
    const mail = await this.#parse(raw)
    if (signal.aborted) return // it has waited for too long: the client sends it again
    const entry = entryOf(caught, mail)
    if (this.#files === null) this.#keep({ entry, raw, session }, raw.length + JSON.stringify(entry).length)
    else {
      const octets = await this.#files.write({ entry, dialogue: dialogueView(session) }, raw)
      this.#keep({ entry, raw: null, session: null }, octets)
    }
    if (this.#byId.has(entry.id)) {
      this.#index.add(entry.id, searchText(mail))
      this.#opened = { id: entry.id, mail } // most likely it is looked at next
    }
    this.#events.added(entry)
  }

  /** Counts what a session has said after its messages. */
  grown(session: SessionRecord): void {
    this.#sessions.update(session)
  }

  /** A part of the messages that fit a search, the newest first. */
  async page(search: string, start: number, limit: number): Promise<Page> {
    const all = this.#kept.all.map(({ entry }) => entry)
    const found = search === '' ? all : await this.#index.search(all, search)
    const from = Math.max(0, found.length - start - limit)
    const entries = found.slice(from, Math.max(0, found.length - start))
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

  /** The octets of a message, for an answer: from a folder a piece at a time. Null if it is not there. */
  async source(id: string): Promise<Buffer | Readable | null> {
    const stored = this.#find(id)
    if (stored === undefined) return null
    return stored.raw ?? this.#files!.stream(stored.entry.id).catch(() => null)
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
    if (stored.session !== null) this.#sessions.hold(stored.session, stored)
  }

  async #searchText(id: string): Promise<string | null> {
    const raw = await this.raw(id)
    const text = raw === null ? null : searchText(await this.#parse(raw))
    return this.#byId.has(id) ? text : null // deleted meanwhile
  }

  #forget(stored: Stored, tells: boolean): void {
    const { id } = stored.entry
    this.#byId.delete(id)
    this.#index.remove(id)
    if (stored.session !== null) this.#sessions.release(stored.session, stored)
    if (this.#opened?.id === id) this.#opened = null
    this.#files?.remove(id).catch(warn)
    if (tells) this.#events.removed([id])
  }
}
