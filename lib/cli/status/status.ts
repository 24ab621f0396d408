// The routes of the status page, and its updates: at most two a second, of the parts that have changed.

import { systemClock, type Clock } from '../../time/clock.ts'
import { contentPolicy, type WebAnswer } from '../../web/answer.ts'
import type { EventStreams } from '../../web/event-streams.ts'
import type { Route } from '../../web/routes.ts'
import type { StatusBook } from './book.ts'
import { page, type PageFacts } from './page.ts'
import { SCRIPT } from './script.ts'
import { STYLE } from './style.ts'
import { parts } from './view.ts'

/** Milliseconds from a change to the update: what changes meanwhile is in it. */
const DELAY = 500
/** Milliseconds between looks at what changes by time alone: the plots, the clients that wait. */
const TICK = 10_000

/** What {@link StatusPage} needs. */
export interface StatusPageOptions extends PageFacts {
  readonly book: StatusBook
  /** @defaultValue the system's */
  readonly clock?: Clock
}

/** The status page. */
export class StatusPage {
  readonly #options: StatusPageOptions
  readonly #clock: Clock
  readonly #policy: string = contentPolicy({ scripts: [SCRIPT], styles: [STYLE] })
  /** What pages that listen have been sent, by the id of the part. */
  readonly #sent = new Map<string, string>()
  #streams: EventStreams | null = null
  #isDue = false
  #isTicking = false

  constructor(options: StatusPageOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    options.book.onChange = () => this.#changed()
  }

  /** `/status` and its events. */
  get routes(): readonly Route[] {
    return [
      { path: '/status', handle: () => this.#page() },
      { path: '/status/events', handle: () => this.#listen() },
    ]
  }

  /** Called with the streams of the server that has the routes. */
  sendTo(streams: EventStreams): void {
    this.#streams = streams
  }

  #parts(): ReturnType<typeof parts> {
    return parts(this.#options.book.state(), this.#options.store)
  }

  #page(): WebAnswer {
    const body = page(this.#parts(), this.#options)
    return { type: 'text/html; charset=utf-8', body, headers: { 'content-security-policy': this.#policy } }
  }

  #listen(): WebAnswer {
    if (!this.#isTicking) this.#clock.after(TICK, () => this.#tick())
    this.#isTicking = true
    this.#sent.clear() // The next update has all parts: this page may know newer ones than the others.
    // All parts: the page was loaded a moment ago, or lost its connection an hour ago.
    const all = Object.entries(this.#parts()).map(([id, part]) => [id, String(part)])
    return this.#streams!.answer([{ event: 'parts', data: Object.fromEntries(all) }])
  }

  #changed(): void {
    if (this.#streams === null || this.#streams.size === 0) return
    if (this.#isDue) return
    this.#isDue = true
    this.#clock.after(DELAY, () => {
      this.#isDue = false
      this.#update()
    })
  }

  #tick(): void {
    this.#isTicking = this.#streams!.size > 0
    if (!this.#isTicking) return
    this.#clock.after(TICK, () => this.#tick())
    this.#update()
  }

  #update(): void {
    const changed: Record<string, string> = {}
    for (const [id, part] of Object.entries(this.#parts())) {
      const text = String(part)
      if (this.#sent.get(id) === text) continue
      this.#sent.set(id, text)
      changed[id] = text
    }
    if (Object.keys(changed).length > 0) this.#streams!.send({ event: 'parts', data: changed })
  }
}
