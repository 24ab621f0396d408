// lines ─→ queue, at most 1 MiB ─ one write at a time, without waiting ─→ target
//
// A log never stops the mail and never keeps the process from ending: a target that fails or takes no more is tried again
// after a pause, lines that find the queue full are counted and dropped, and close() gives up in time.

import { write, writeSync } from 'node:fs'
import { printable } from '../words/printable.ts'
import type { LogTarget, OpenTarget } from './log-target.ts'

const QUEUE_LENGTH = 2 ** 20
/** Milliseconds that lines are gathered for after a write, so that a busy log costs few writes. */
const GATHER_TIME = 20
/** Milliseconds until a target that took no more is tried again. */
const STALLED_PAUSE = 20
/** Milliseconds until a target that failed is tried again. */
const FAILED_PAUSE = 1000
/** Milliseconds that close() waits for a target to take what is queued. */
const CLOSE_TIME = 500

/** What a {@link LogWriter} needs to know beside its target. */
export interface LogWriterOptions {
  /** Makes the line that says how many lines were dropped. */
  readonly showDropped: (count: number) => string
  /** Called with the first trouble since the target was opened or reopened, and only then. */
  readonly warn: (message: string) => void
}

/** Writes lines to one target. No method throws. */
export class LogWriter {
  readonly #target: LogTarget
  readonly #options: LogWriterOptions
  #open: OpenTarget | null = null
  #lines: string[] = []
  #queued = 0
  /** What is being written, or has to be written again. Begins in the middle of a line after a short write. */
  #batch: Buffer | null = null
  #batchStarted = false
  #writing = false
  #timer: NodeJS.Timeout | null = null
  #scheduled: NodeJS.Immediate | null = null
  /** Runs while lines are gathered; keeps the process alive once there is one. */
  #gathering: NodeJS.Timeout | null = null
  /** Dropped lines that the log does not tell of yet. */
  #untold = 0
  #dropped = 0
  #warned = false
  /** Lines that still belong to the file that was open before reopen(); null unless the file is to be reopened. */
  #beforeReopen: number | null = null
  #whenClosed: (() => void) | null = null

  constructor(target: LogTarget, options: LogWriterOptions) {
    this.#target = target
    this.#options = options
  }

  /** Lines that were dropped since the process started. */
  get dropped(): number {
    return this.#dropped
  }

  /**
   * Appends a line, which must not contain a line feed. It is written after this turn of the event loop, or at most 20 ms
   * after the write before.
   */
  write(line: string): void {
    this.#tellDropped()
    if (this.#untold > 0 || this.#queued + line.length > QUEUE_LENGTH) {
      this.#drop(1)
      this.#warn('it is too slow, lines are dropped')
      return
    }
    this.#enqueue(line)
    if (this.#writing || this.#timer !== null) return
    if (this.#gathering === null || this.#queued > (this.#open?.batch ?? 0))
      this.#scheduled ??= setImmediate(() => this.#pump())
    else this.#gathering.ref()
  }

  /** Has lines from now on go to the file that then has the target's name; those before it go to the file as it is. */
  reopen(): void {
    this.#warned = false
    if (this.#open === null || !this.#target.canBeReopened) return
    if (this.#timer !== null) this.#switchFile()
    else this.#beforeReopen = this.#lines.length
    this.#pump()
  }

  /**
   * Writes what is queued and closes the target. Resolves when that is done, or after half a second with the rest dropped. A
   * later line opens the target again.
   */
  close(): Promise<void> {
    if (this.#open === null && this.#lines.length === 0 && this.#batch === null) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#finishClose(), CLOSE_TIME)
      const before = this.#whenClosed
      this.#whenClosed = () => {
        clearTimeout(timer)
        before?.()
        resolve()
      }
      this.#pump()
    })
  }

  /** Writes what is queued now, for a process that exits. Gives up at the first error. */
  flushSync(): void {
    if (this.#writing) this.#batch = null // Node still ends that write.
    try {
      for (;;) {
        const batch = this.#nextBatch()
        if (batch !== null) {
          this.#open ??= this.#target.open()
          this.#advance(batch, writeSync(this.#open.fd, batch))
        } else if (this.#beforeReopen !== null) this.#switchFile()
        else return
      }
    } catch {
      // The process is about to exit.
    }
  }

  #enqueue(line: string): void {
    this.#lines.push(`${line}\n`)
    this.#queued += line.length + 1
  }

  #drop(count: number): void {
    this.#untold += count
    this.#dropped += count
  }

  #pump(): void {
    clearTimeout(this.#timer ?? undefined)
    clearTimeout(this.#gathering ?? undefined)
    clearImmediate(this.#scheduled ?? undefined)
    this.#timer = null
    this.#gathering = null
    this.#scheduled = null
    if (this.#writing) return
    if (this.#beforeReopen === 0 && this.#batch === null) this.#switchFile()
    if (this.#batch === null && this.#lines.length === 0) {
      if (this.#whenClosed !== null) this.#finishClose()
      return
    }
    try {
      this.#open ??= this.#target.open()
    } catch (error) {
      this.#fail(error as Error)
      return
    }
    const batch = this.#nextBatch()!
    const { fd } = this.#open
    this.#writing = true
    write(fd, batch, (error, written) => {
      this.#writing = false
      if (this.#open?.fd !== fd) this.#target.close(fd) // closed or opened again during the write
      else if (error !== null) this.#fail(error)
      else this.#advance(batch, written)
      if (this.#mayGather) this.#gather()
      else if (this.#timer === null) this.#pump()
    })
  }

  /** True if nothing has to be written at once: the last write was whole, and no end or rotation waits for the rest. */
  get #mayGather(): boolean {
    const isDue = this.#whenClosed !== null || this.#beforeReopen !== null || this.#queued > (this.#open?.batch ?? 0)
    return !isDue && this.#batch === null && this.#timer === null
  }

  #gather(): void {
    this.#gathering = setTimeout(() => this.#pump(), GATHER_TIME)
    if (this.#lines.length === 0) this.#gathering.unref()
  }

  /** Returns the octets to write next, whole lines unless a write was short, or null. */
  #nextBatch(): Buffer | null {
    if (this.#batch !== null) return this.#batch
    const most = this.#open?.batch ?? 0
    const end = this.#beforeReopen ?? this.#lines.length
    let count = 0
    let length = 0
    while (count < end && (count === 0 || length + this.#lines[count]!.length <= most)) {
      length += this.#lines[count]!.length
      count += 1
    }
    if (count === 0) return null
    this.#batch = Buffer.from(this.#lines.splice(0, count).join(''))
    this.#batchStarted = false
    this.#queued -= length
    if (this.#beforeReopen !== null) this.#beforeReopen -= count
    return this.#batch
  }

  #advance(batch: Buffer, written: number): void {
    this.#batchStarted ||= written > 0
    this.#batch = written < batch.length ? batch.subarray(written) : null
    this.#tellDropped()
  }

  /** Queues the line about dropped lines once half of the queue is free, so that there are few such lines. */
  #tellDropped(): void {
    if (this.#untold === 0 || this.#queued > QUEUE_LENGTH / 2) return
    this.#enqueue(this.#options.showDropped(this.#untold))
    this.#untold = 0
  }

  #fail(error: NodeJS.ErrnoException): void {
    const stalled = error.code === 'EAGAIN'
    if (!stalled) this.#warn(error.message)
    if (this.#beforeReopen !== null) this.#switchFile()
    else if (this.#whenClosed !== null && !stalled) this.#finishClose()
    else this.#timer = setTimeout(() => this.#pump(), stalled ? STALLED_PAUSE : FAILED_PAUSE).unref()
  }

  #switchFile(): void {
    this.#beforeReopen = null
    this.#closeTarget()
    if (this.#batch === null || !this.#batchStarted) return
    // The beginning of this line is in the other file.
    const rest = this.#batch.subarray(this.#batch.indexOf('\n') + 1)
    this.#batch = rest.length === 0 ? null : rest
    this.#batchStarted = false
    this.#drop(1)
  }

  #finishClose(): void {
    const unwritten = this.#writing || this.#batch === null ? 0 : this.#batch.toString('latin1').split('\n').length - 1
    this.#drop(this.#lines.length + unwritten)
    this.#lines = []
    this.#queued = 0
    this.#closeTarget()
    this.#batch = null
    this.#beforeReopen = null
    const resolve = this.#whenClosed
    this.#whenClosed = null
    resolve?.()
  }

  /** Closes it; behind a write that is under way, so that its number is no other file's meanwhile. */
  #closeTarget(): void {
    if (this.#open !== null && !this.#writing) this.#target.close(this.#open.fd)
    this.#open = null
  }

  #warn(what: string): void {
    if (this.#warned) return
    this.#warned = true
    this.#options.warn(`the log ${this.#target.name}: ${printable(what)}`)
  }
}
