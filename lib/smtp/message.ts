// Mail data on its way from the wire to onMessage.
//
//   Body (transparency removed, limits) ─→ [normalizeNewlines] ─→ filters … ─→ Message ─→ onMessage
//
// Where nothing stands in between, the Body is the Message.

import { PassThrough, pipeline, type Readable } from 'node:stream'
import { dotStuff } from '../transforms/dot-stuff.ts'
import { normalizeNewlines } from '../transforms/normalize-newlines.ts'
import { MailHandlerError } from '../words/errors.ts'
import type { Body } from '../stream/body.ts'
import type { ResolvedOptions } from './options.ts'
import type { Session } from './session.ts'

/**
 * The mail data of one message, transparency removed. It ends only where it is whole; else it is destroyed, with the
 * code `ERR_TRUNCATED` where the client went away, `ERR_SIZE_LIMIT`, `ERR_BARE_NEWLINE`, or what a filter failed with.
 */
export interface Message extends Readable {
  /**
   * The same with transparency, as DATA sends it: for a relay. Read this one instead of the message, from the start;
   * throws `ERR_BODY_STARTED` later. [RFC 5321 §4.5.2]
   */
  raw(): Readable
}

/** A message, and how what stands before it fared. */
export interface PreparedMessage {
  readonly message: Message
  /** Why what `onMessage` read was not whole, though the mail data was: a filter failed. */
  failure(): Error | null
  /** The verdict is known: nobody needs to read on. */
  drop(): void
}

class FilteredMessage extends PassThrough implements Message {
  #stuffed: Readable | null = null

  raw(): Readable {
    if (this.readableDidRead) {
      throw new MailHandlerError('ERR_BODY_STARTED', 'how mail data is read is chosen before reading begins')
    }
    return (this.#stuffed ??= stuffed(this))
  }

  /** Dropped where nobody reads it. */
  settle(): void {
    const read: Readable = this.#stuffed ?? this
    if (read.listenerCount('data') + read.listenerCount('readable') === 0) read.destroy()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    callback(this.listenerCount('error') > 0 ? error : null)
  }
}

/** Sets a body up as the message that `onMessage` gets. */
export function prepareMessage(body: Body, session: Session, options: ResolvedOptions): PreparedMessage {
  body.unstuffed().limitHeader(options.limits.header)
  if (options.size > 0) body.limit(options.size)
  const binary = session.envelope?.parameters.body === 'BINARYMIME' // Its lines are none. [RFC 3030 §3]
  if (options.bareNewline === 'reject' && !binary) body.refuseBareNewlines()

  const normalize = options.bareNewline === 'normalize' && !binary ? [normalizeNewlines()] : []
  const stages = [...normalize, ...options.filters.map(filter => filter(session))]
  if (stages.length === 0) return { message: body, failure: () => null, drop() {} }

  const message = new FilteredMessage()
  let failure: Error | null = null
  pipeline([body, ...stages, message], error => {
    // A consumer that closes the message early is no failure; a filter that does so is.
    if (error && !(isPrematureClose(error) && message.errored === null)) failure = error
  })
  return { message, failure: () => failure, drop: () => message.settle() }
}

/** Adds transparency to a stream that has none. */
function stuffed(source: Readable): Readable {
  const out = dotStuff()
  out.on('error', () => {}) // as with a Body, an error that nobody listens for is not thrown
  pipeline(source, out, () => {})
  return out
}

function isPrematureClose(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE'
}
