// The message behind filters: what comes out of the last of them, and the same with transparency. An error that a
// listener throws, there or on a filter, fails the message; it would end the process.

import { captureRejectionSymbol, type EventEmitter } from 'node:events'
import { PassThrough, pipeline, type Readable, type TransformOptions } from 'node:stream'
import { dotStuff } from '../transforms/dot-stuff.ts'
import { MailHandlerError } from '../words/errors.ts'
import type { Message } from './message.ts'

/** Is told what a listener has thrown. */
export type Fail = (error: unknown) => void

/** Calls `fail` with what the listeners of `stream` throw. */
export function guard(stream: Pick<EventEmitter, 'emit'>, fail: Fail): void {
  const emit = stream.emit.bind(stream)
  stream.emit = (...event) => {
    try {
      return emit(...event)
    } catch (error) {
      fail(error)
      return true
    }
  }
}

/** True if a stream was destroyed by a consumer that wants no more of it: without an error, or by `break` in a `for await`. */
export function isLeaving(error: Error | null): boolean {
  return error === null || error.name === 'AbortError'
}

class Guarded extends PassThrough {
  protected readonly fail: Fail
  /** Called after a listener was removed. */
  whenLeft: (() => void) | null = null

  constructor(fail: Fail) {
    super({ captureRejections: true } as TransformOptions)
    this.fail = fail
    guard(this, fail)
  }

  // Node does not emit 'removeListener' for every event of a stream.
  override removeListener(event: string | symbol, listener: (...values: never[]) => void): this {
    super.removeListener(event, listener as () => void)
    // A stream whose last reader leaves sets itself back afterwards.
    if (this.whenLeft !== null) setImmediate(this.whenLeft)
    return this
  }

  override off(event: string | symbol, listener: (...values: never[]) => void): this {
    return this.removeListener(event, listener)
  }

  static {
    // Node calls it with what an async listener rejects with.
    Object.defineProperty(Guarded.prototype, captureRejectionSymbol, {
      value(this: Guarded, error: unknown) {
        this.fail(error)
      },
    })
  }
}

/** The message behind filters. */
export class FilteredMessage extends Guarded implements Message {
  /** True if its consumer wanted no more of it. */
  isLeft = false
  #stuffed: Guarded | null = null

  raw(): Readable {
    if (this.readableDidRead) {
      throw new MailHandlerError('ERR_BODY_STARTED', 'how mail data is read is chosen before reading begins')
    }
    if (this.#stuffed !== null) return this.#stuffed
    const out = new Guarded(this.fail)
    out.once('close', () => {
      this.isLeft ||= !out.readableEnded
    })
    pipeline(this, dotStuff(), out, () => {})
    this.#stuffed = out
    return out
  }

  /** Discards what nobody reads, now or later: the verdict waits for the filters. */
  discardUnread(): void {
    const discard = (): void => void this.unread?.resume()
    this.whenLeft = discard
    if (this.#stuffed !== null) this.#stuffed.whenLeft = discard
    discard()
  }

  /** The stream that nobody reads; null if somebody does. */
  get unread(): Readable | null {
    const stream: Readable = this.#stuffed ?? this
    return stream.listenerCount('data') + stream.listenerCount('readable') === 0 ? stream : null
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.isLeft ||= isLeaving(error)
    callback(this.listenerCount('error') > 0 ? error : null)
  }
}
