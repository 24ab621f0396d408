// Looks for words in the messages. What it looks at is kept in a bounded memory; for what has no room, the message is read
// again. Between messages it lets others run.

import type { MailEntry } from './entry.ts'
import { OneByOne } from './one-by-one.ts'
import { readQuery, searchable, type SearchField, type SearchTerm } from './search-query.ts'

/** Octets of all texts that are kept. */
const MOST_OCTETS = 64 * 2 ** 20
/** Milliseconds after which a search lets others run. */
const SLICE = 5

/** The texts of messages, by the id of the message. */
export class SearchIndex {
  readonly #texts = new Map<string, Buffer>()
  readonly #most: number
  readonly #read: (id: string) => Promise<string | null>
  #octets = 0
  readonly #searches = new OneByOne()

  /** `read` makes the text of a message; null if it is gone. */
  constructor(read: (id: string) => Promise<string | null>, most: number = MOST_OCTETS) {
    this.#read = read
    this.#most = most
  }

  /** Octets of the texts that are kept. */
  get octets(): number {
    return this.#octets
  }

  /** Keeps the text of a new message; the texts of the oldest ones make room. */
  add(id: string, text: string): void {
    this.#keep(id, Buffer.from(text))
  }

  #keep(id: string, octets: Buffer): void {
    this.#texts.set(id, octets)
    this.#octets += octets.length
    for (const oldest of this.#texts.keys()) {
      if (this.#octets <= this.#most) break
      this.remove(oldest)
    }
  }

  /** Forgets a message. */
  remove(id: string): void {
    this.#octets -= this.#texts.get(id)?.length ?? 0
    this.#texts.delete(id)
  }

  /** Resolves with the messages that have every word of a search, in their order. Searches wait for each other. */
  search(entries: readonly MailEntry[], query: string): Promise<MailEntry[]> {
    const terms = readQuery(query)
    return this.#searches.run(() => this.#search(entries, terms))
  }

  async #search(entries: readonly MailEntry[], terms: readonly SearchTerm[]): Promise<MailEntry[]> {
    const found: MailEntry[] = []
    let began = performance.now()
    for (const entry of entries) {
      if (performance.now() - began > SLICE) {
        await new Promise(resolve => setImmediate(resolve))
        began = performance.now()
      }
      const rest = restOf(entry, terms)
      if (rest === null) continue
      const text = rest.length === 0 ? null : (this.#texts.get(entry.id) ?? (await this.#reread(entry.id)))
      if (rest.length === 0 || (text !== null && rest.every(term => text.includes(term.text) !== term.isExcluded))) {
        found.push(entry)
      }
    }
    return found
  }

  /** Reads a message again. Its text is kept only if there is room: a search must not push out what others will need. */
  async #reread(id: string): Promise<Buffer | null> {
    const text = await this.#read(id)
    if (text === null) return null
    const octets = Buffer.from(text)
    if (this.#octets + octets.length <= this.#most) this.#keep(id, octets)
    return octets
  }
}

/** What the text of a message has to show still, after its entry; null if the message does not fit already. */
function restOf(entry: MailEntry, terms: readonly SearchTerm[]): SearchTerm[] | null {
  const anywhere: SearchTerm[] = []
  for (const term of terms) {
    if (term.field === null) anywhere.push(term)
    else if (fieldOf(entry, term.field).includes(term.text) === term.isExcluded) return null
  }
  if (anywhere.length === 0) return anywhere
  const known = searchable(`${addressesOf(entry)}\n${entry.subject}`)
  if (anywhere.some(({ text, isExcluded }) => isExcluded && known.includes(text))) return null
  return anywhere.filter(({ text, isExcluded }) => isExcluded || !known.includes(text))
}

function fieldOf(entry: MailEntry, field: SearchField): string {
  const { envelope, from, to, cc, subject, messageId } = entry
  const texts: Readonly<Record<SearchField, readonly string[]>> = {
    from: [envelope.from, nameOf(from)],
    to: [...envelope.to, ...to.map(nameOf)],
    cc: cc.map(nameOf),
    subject: [subject],
    'message-id': [messageId ?? ''],
  }
  return searchable(texts[field].join('\n'))
}

function addressesOf({ envelope, from }: MailEntry): string {
  return [envelope.from, ...envelope.to, nameOf(from)].join('\n')
}

function nameOf(address: MailEntry['from']): string {
  return address === null ? '' : `${address.name} ${address.address}`
}
