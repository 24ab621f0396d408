// Caught messages in a folder: for each a file with its octets and one with what is known of it.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DialogueView, MailEntry } from './entry.ts'

/** What is known of a message, in its file. */
export interface Described {
  readonly entry: MailEntry
  readonly dialogue: DialogueView
}

/** A name that this program gives: nothing of a message is in it. */
const NAME = /^([0-9a-f-]{36})\.json$/

/** The folder. Its messages are for their owner alone. */
export class MailFiles {
  readonly #folder: string

  /** Makes the folder if it is missing. Throws an error that names it. */
  constructor(folder: string) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
    } catch (cause) {
      throw new Error(`${folder}: ${(cause as Error).message}`, { cause })
    }
    this.#folder = folder
  }

  /** The messages that are there, the oldest first. Files that cannot be read are left alone. */
  read(): MailEntry[] {
    const names = readdirSync(this.#folder).filter(name => NAME.test(name))
    const entries = names.flatMap(name => this.#entry(name))
    return entries.toSorted((a, b) => (a.receivedAt < b.receivedAt ? -1 : 1))
  }

  /** Writes a message; it is there whole, or not at all. */
  async write(described: Described, raw: Buffer): Promise<void> {
    const { id } = described.entry
    await this.#put(`${id}.eml`, raw)
    await this.#put(`${id}.json`, JSON.stringify(described))
  }

  /** The octets of a message. Rejects if they are gone. */
  raw(id: string): Promise<Buffer> {
    return readFile(this.#path(`${id}.eml`))
  }

  /** The dialogue of a message, as it was when the message had come. Rejects if it is gone. */
  async dialogue(id: string): Promise<DialogueView> {
    return (JSON.parse(await readFile(this.#path(`${id}.json`), 'utf8')) as Described).dialogue
  }

  /** Removes a message. */
  async remove(id: string): Promise<void> {
    for (const name of [`${id}.json`, `${id}.eml`]) await rm(this.#path(name), { force: true })
  }

  async #put(name: string, content: string | Buffer): Promise<void> {
    const temporary = this.#path(`${name}.tmp`)
    await writeFile(temporary, content, { mode: 0o600 })
    await rename(temporary, this.#path(name))
  }

  #entry(name: string): MailEntry[] {
    try {
      const { entry } = JSON.parse(readFileSync(this.#path(name), 'utf8')) as Described
      return `${entry.id}.json` === name ? [entry] : []
    } catch {
      return []
    }
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }
}
