// Caught messages in a folder: for each a file with its octets and one with what is known of it.

import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { onDisk } from '../../deliveries/maildir-file.ts'
import type { DialogueView, MailEntry } from './entry.ts'
import { readEntry } from './read-entry.ts'

/** What is known of a message, in its file. */
interface Described {
  readonly entry: MailEntry
  readonly dialogue: DialogueView
}

/** A message of the folder. */
export interface Filed {
  readonly entry: MailEntry
  /** Octets of both its files. */
  readonly octets: number
}

/** A name that this program gives: nothing of a message is in it. */
const NAME = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json$/
/** Octets of a description; one of this program is shorter. */
const MOST_OCTETS = 16 * 2 ** 20

/** The folder. Its messages are for their owner alone. */
export class MailFiles {
  readonly #folder: string

  /** Makes the folder if it is missing. Throws an error that names it, also if nothing can be written there. */
  constructor(folder: string) {
    try {
      makeFolder(folder)
      if (!statSync(folder).isDirectory()) throw new Error('it is not a folder')
      accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (cause) {
      throw new Error(`${folder}: ${(cause as Error).message}`, { cause })
    }
    this.#folder = folder
  }

  /**
   * The messages that are there, the oldest first. Files of others are not touched; a file with a name of this program
   * that does not describe a message is left alone too, and one warning names the first.
   */
  read(): Filed[] {
    const files = readdirSync(this.#folder, { withFileTypes: true })
    const filed: Filed[] = []
    const broken: string[] = []
    for (const file of files) {
      if (!NAME.test(file.name)) continue
      try {
        if (!file.isFile()) throw new Error('it is not a file')
        filed.push(this.#read(file.name))
      } catch (error) {
        broken.push(`${file.name} (${(error as Error).message})`)
      }
    }
    if (broken.length > 0) {
      const what = broken.length === 1 ? 'a file that describes' : `${broken.length} files that describe`
      process.emitWarning(`${this.#folder} has ${what} no message; left alone: ${broken[0]}`)
    }
    return filed.toSorted((a, b) => (a.entry.receivedAt < b.entry.receivedAt ? -1 : 1))
  }

  /**
   * Writes a message; it is there whole, or not at all. Resolves with the octets of its files. Rejects with an SmtpError if
   * the file system fails, 452 if it is full.
   */
  async write(described: Described, raw: Buffer): Promise<number> {
    const { id } = described.entry
    const description = Buffer.from(JSON.stringify(described))
    await onDisk(this.#put(`${id}.eml`, raw))
    try {
      await onDisk(this.#put(`${id}.json`, description))
    } catch (error) {
      await discard(this.#path(`${id}.eml`))
      throw error
    }
    return raw.length + description.length
  }

  /** The octets of a message. Rejects if they are gone. */
  raw(id: string): Promise<Buffer> {
    return readFile(this.#path(`${id}.eml`))
  }

  /** The octets of a message, a piece at a time. Rejects if they are gone. */
  async stream(id: string): Promise<Readable> {
    const file = await open(this.#path(`${id}.eml`))
    return file.createReadStream()
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
    try {
      await writeFile(temporary, content, { mode: 0o600 })
      await rename(temporary, this.#path(name))
    } catch (error) {
      await discard(temporary) // a full disk stays full otherwise
      throw error
    }
  }

  #read(name: string): Filed {
    const { size } = statSync(this.#path(name))
    if (size > MOST_OCTETS) throw new Error('it is too long')
    const described = JSON.parse(readFileSync(this.#path(name), 'utf8')) as Partial<Described> | null
    const entry = readEntry(described?.entry)
    if (`${entry.id}.json` !== name) throw new Error('its id is another one')
    return { entry, octets: size + statSync(this.#path(`${entry.id}.eml`)).size }
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }
}

/** Removes a file of a message that was not kept; if that fails too, there is nothing more to do. */
async function discard(file: string): Promise<void> {
  await rm(file, { force: true }).catch(() => {})
}

/** Makes a folder and those above it. Node's own never ends where a folder is there and takes no other, as in `/proc`. */
function makeFolder(folder: string): void {
  const make = (): void => mkdirSync(folder, { mode: 0o700 })
  try {
    if (!existsSync(folder)) make()
  } catch (error) {
    const above = dirname(folder)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || existsSync(above)) throw error
    makeFolder(above)
    make()
  }
}
