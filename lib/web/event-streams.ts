// Server-sent events: a few pages that stay open and are told what happens. A page that does not read is dropped.

import type { ServerResponse } from 'node:http'
import { systemClock, type Clock } from '../time/clock.ts'
import type { WebAnswer } from './answer.ts'

/** Streams at a time. */
const MOST = 20
/** Octets that may wait for a page that does not read. */
const MOST_UNREAD = 256 * 1024
/** Milliseconds between comments that keep a stream open, and show whether its page is still there. */
const HEARTBEAT = 15_000
/** Milliseconds after which a browser connects again. */
const RETRY = 2000

/** An event for pages: a name, and data that is sent as JSON. */
export interface PageEvent {
  readonly event: string
  readonly data: unknown
}

/** The pages that listen. */
export class EventStreams {
  readonly #clock: Clock
  /** For each stream, true while its last comment is unread. */
  readonly #streams = new Map<ServerResponse, boolean>()
  #timer: unknown = null
  #closed = false

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** How many pages listen. */
  get size(): number {
    return this.#streams.size
  }

  /** Sends an event to all pages. */
  send(event: PageEvent): void {
    if (this.#streams.size === 0) return
    const text = format(event)
    for (const stream of this.#streams.keys()) this.#write(stream, text)
  }

  /** Answers a request with a stream, whose first events are these; 503 if there are 20 already, or after `close`. */
  answer(first: readonly PageEvent[] = []): WebAnswer {
    if (this.#closed || this.#streams.size >= MOST) {
      return { status: 503, headers: { 'retry-after': '10' }, body: `no more than ${MOST} pages can listen\n` }
    }
    return {
      type: 'text/event-stream',
      headers: { connection: 'close', 'x-accel-buffering': 'no' },
      take: response => this.#open(response, first),
    }
  }

  /** Ends all streams; no new one begins. */
  close(): void {
    this.#closed = true
    for (const stream of this.#streams.keys()) stream.end()
  }

  #open(response: ServerResponse, first: readonly PageEvent[]): void {
    if (response.socket === null) {
      // It waits behind another one on its connection, or the client has left: it may never close.
      response.destroy()
      return
    }
    response.socket.setTimeout(0) // The comments look whether somebody reads.
    this.#streams.set(response, false)
    response.once('close', () => this.#forget(response))
    this.#timer ??= this.#clock.after(HEARTBEAT, () => this.#beat())
    this.#write(response, `retry: ${RETRY}\n\n${first.map(format).join('')}`)
  }

  #beat(): void {
    this.#timer = this.#clock.after(HEARTBEAT, () => this.#beat())
    for (const [stream, isUnread] of this.#streams) {
      if (isUnread) this.#drop(stream)
      else this.#comment(stream)
    }
  }

  #comment(stream: ServerResponse): void {
    this.#streams.set(stream, true)
    stream.write(':\n\n', () => {
      if (this.#streams.has(stream)) this.#streams.set(stream, false)
    })
  }

  #write(stream: ServerResponse, text: string): void {
    if (stream.writableLength + text.length > MOST_UNREAD) this.#drop(stream)
    else stream.write(text)
  }

  #drop(stream: ServerResponse): void {
    stream.destroy()
    this.#forget(stream)
  }

  #forget(stream: ServerResponse): void {
    this.#streams.delete(stream)
    if (this.#streams.size > 0) return
    this.#clock.clear(this.#timer)
    this.#timer = null
  }
}

function format({ event, data }: PageEvent): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n` // JSON has no line breaks
}
