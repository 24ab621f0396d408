// The chunk at hand, and how much of it is eaten.

/** Tells the writer that it may go on, or that nobody reads any more. */
export type WriteCallback = (error?: Error | null) => void

const NOTHING = Buffer.alloc(0)

/** The client's octets: one chunk at a time, whose writer waits until it is eaten. */
export class Input {
  chunk: Buffer = NOTHING
  offset = 0
  /** Lines that the client has sent, commands and answers to prompts. */
  lines = 0
  #octetsBefore = 0
  whenWritten: WriteCallback | null = null

  /** Octets that have been eaten so far. */
  get octets(): number {
    return this.#octetsBefore + this.offset
  }

  /** Lets the writer go on if the chunk is eaten. */
  release(): void {
    const { whenWritten } = this
    if (whenWritten === null || this.offset < this.chunk.length) return
    this.whenWritten = null
    this.#octetsBefore += this.offset
    this.chunk = NOTHING
    this.offset = 0
    whenWritten()
  }

  /** Nobody reads any more. */
  abandon(why: () => Error): void {
    this.whenWritten?.(why()) // only then: making an error costs 8 µs
    this.whenWritten = null
  }
}
