// What the log says of greylisting: each decision is a line of JSON.

import { foldRecipient, foldSender } from '../../policies/greylist/fold-sender.ts'
import { countedSigns, outcomeOf, type Case, type Outcome } from './outcome.ts'

/** What was only observed. Nothing was held, so nobody can tell what would have come again. */
export interface Observed {
  /** Attempts that would have waited. */
  readonly wouldHaveWaited: number
  /** Of the senders and recipients of those, how many came again later, after the delay. */
  readonly cameAgain: number
  /** Attempts that would have waited, by sign. */
  readonly signs: Readonly<Record<string, number>>
}

/** What a log says. */
export interface LogReport {
  /** The time of the first and of the last line, as they stand there; null without any line. */
  readonly from: string | null
  readonly to: string | null
  /** What was held; null if nothing was. */
  readonly enforced: Outcome | null
  /** What would have been held; null if nothing was only observed. */
  readonly observed: Observed | null
  /** Decisions that let a recipient pass at once, since it has passed before, or its client is past greylisting. */
  readonly passedAtOnce: number
  /** Decisions without an answer of the store. */
  readonly failed: number
  /** Messages that the server accepted, greylisted or not. */
  readonly accepted: number
  /** Recipients whose decision is not named in a line with many. */
  readonly unnamed: number
  /** Lines that are no JSON of this program. */
  readonly skipped: number
}

interface OpenCase {
  readonly at: number
  readonly keys: readonly string[]
  readonly signs: readonly string[]
}

interface Decision {
  readonly recipient: string
  readonly verdict: string
  readonly waits: boolean
  readonly age: number
}

interface Line {
  readonly time: string
  readonly msg: string
  readonly verdict?: string
  readonly observed?: boolean
  readonly clients?: readonly string[]
  readonly signs?: readonly string[]
  readonly sender?: string
  readonly decisions?: readonly Decision[]
  readonly recipientCount?: number
}

/** Reads a log, line by line. `window` is how many milliseconds a client has to come again. */
export class LogReader {
  readonly #window: number
  readonly #open = new Map<string, OpenCase>()
  readonly #closed: Case[] = []
  readonly #counts = { passedAtOnce: 0, failed: 0, accepted: 0, unnamed: 0, skipped: 0 }
  readonly #observed = { wouldHaveWaited: 0, cameAgain: 0, signs: new Map<string, number>() }
  #isEnforced = false
  #isObserved = false
  #from: string | null = null
  #to: string | null = null

  constructor(window: number) {
    this.#window = window
  }

  /** Reads a line. A line that is no line of the log is counted, and left out. */
  read(text: string): void {
    const line = parse(text)
    if (line === null) {
      if (text !== '') this.#counts.skipped++
      return
    }
    this.#from ??= line.time
    this.#to = line.time
    if (line.msg === 'transaction' && line.verdict === 'accepted') this.#counts.accepted++
    if (line.msg !== 'greylist' || line.decisions === undefined) return
    this.#counts.unnamed += Math.max(0, (line.recipientCount ?? 0) - line.decisions.length)
    for (const decision of line.decisions) this.#decision(decision, line)
  }

  /** What the lines say up to here. */
  report(): LogReport {
    const end = this.#to === null ? 0 : Date.parse(this.#to)
    const left = new Set(this.#open.values())
    const rest = [...left].map(({ at, signs }): Case => {
      return { signs, end: end - at > this.#window ? 'stopped' : 'open', delay: null }
    })
    const { signs, ...observed } = this.#observed
    const byCount = [...signs].toSorted(([, one], [, other]) => other - one)
    return {
      from: this.#from,
      to: this.#to,
      enforced: this.#isEnforced ? outcomeOf([...this.#closed, ...rest]) : null,
      observed: this.#isObserved ? { ...observed, signs: Object.fromEntries(byCount) } : null,
      ...this.#counts,
    }
  }

  #decision(decision: Decision, line: Line): void {
    const { verdict, waits } = decision
    if (verdict === 'exempt') return
    if (verdict === 'known' || verdict === 'allowed') this.#counts.passedAtOnce++
    else if (verdict === 'failed') this.#counts.failed++
    else if (line.observed === true) this.#observe(verdict, waits, line.signs ?? [])
    else this.#enforce(decision, line)
  }

  #observe(verdict: string, waits: boolean, found: readonly string[]): void {
    this.#isObserved = true
    const { signs } = this.#observed
    if (verdict === 'pass') this.#observed.cameAgain++
    if (!waits) return
    this.#observed.wouldHaveWaited++
    for (const sign of countedSigns(found)) signs.set(sign, (signs.get(sign) ?? 0) + 1)
  }

  #enforce({ recipient, verdict, age }: Decision, { time, clients = [], sender = '', signs = [] }: Line): void {
    this.#isEnforced = true
    const pair = `${foldSender(split(sender))} ${foldRecipient(split(recipient))}`
    const keys = clients.map(client => `${client} ${pair}`)
    const found = keys.map(key => this.#open.get(key)).find(each => each !== undefined)
    const now = Date.parse(time)
    if (verdict === 'pass') {
      this.#close(found)
      this.#closed.push({ signs: found?.signs ?? signs, end: 'delayed', delay: age })
      return
    }
    if (found !== undefined && now - found.at <= this.#window) return // It comes again too early.
    if (found !== undefined) {
      this.#close(found)
      this.#closed.push({ signs: found.signs, end: 'stopped', delay: null })
    }
    const opened = { at: now - age, keys, signs }
    for (const key of keys) this.#open.set(key, opened)
  }

  #close(found: OpenCase | undefined): void {
    for (const key of found?.keys ?? []) this.#open.delete(key)
  }
}

function parse(text: string): Line | null {
  try {
    const line = JSON.parse(text) as Line
    return typeof line.time === 'string' && typeof line.msg === 'string' ? line : null
  } catch {
    return null
  }
}

function split(address: string): { localPart: string; domain: string } {
  const at = address.lastIndexOf('@')
  return at < 0
    ? { localPart: address, domain: '' }
    : { localPart: address.slice(0, at), domain: address.slice(at + 1) }
}
