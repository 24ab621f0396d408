// Records what both sides of a conversation say, and shows it as a transcript.

import { escapeOctets, isPlain } from './escapes.ts'

/** What one side said before the other side spoke again. */
export interface Turn {
  /** The client (`C`) or the server (`S`). */
  readonly side: 'C' | 'S'
  /** When it began: whatever the caller counts in. */
  readonly at: number
  /** The first octets. */
  readonly octets: Buffer
  /** Octets behind them that were not kept. */
  readonly more: number
}

interface OpenTurn {
  readonly side: 'C' | 'S'
  readonly at: number
  readonly chunks: Buffer[]
  octets: number
  kept: number
}

/** How much of a session is kept. */
export interface LogLimits {
  /** The first octets of a turn. */
  readonly turn: number
  /** The last turns of a session; beyond it the older half of them is dropped. */
  readonly turns: number
  /** Octets of all turns; beyond it the older half of the turns is dropped. */
  readonly octets: number
}

const LIMITS: LogLimits = { turn: 4096, turns: 2000, octets: Infinity }

/** Records octets by side. Consecutive writes of one side form one turn, so the transcript does not depend on chunks. */
export class TranscriptLog {
  readonly #limits: LogLimits
  #turns: OpenTurn[] = []
  #octets = 0
  #dropped = 0

  constructor(limits: LogLimits = LIMITS) {
    this.#limits = limits
  }

  /** The turns that are kept. */
  get turns(): Turn[] {
    return this.#turns.map(({ side, at, chunks, octets, kept }) => {
      return { side, at, octets: Buffer.concat(chunks), more: octets - kept }
    })
  }

  /** How many turns are kept. */
  get size(): number {
    return this.#turns.length
  }

  /** Octets of these turns. */
  get octets(): number {
    return this.#octets
  }

  /** The number of turns before these that are not kept any more. */
  get dropped(): number {
    return this.#dropped
  }

  /** Records octets of the client (`C`) or the server (`S`), said at a time. They are copied. */
  add(side: 'C' | 'S', octets: Uint8Array, at: number = 0): void {
    if (octets.length === 0) return
    const turn = this.#turnOf(side, at)
    turn.octets += octets.length
    if (turn.kept >= this.#limits.turn) return
    // A copy: a piece of the chunk would keep all of it in memory.
    const piece = Buffer.from(octets.subarray(0, this.#limits.turn - turn.kept))
    turn.chunks.push(piece)
    turn.kept += piece.length
    this.#octets += piece.length
  }

  /** Returns the transcript so far, in the notation that {@link parseTranscript} reads. */
  toString(): string {
    return showTurns(this.turns, this.#dropped)
  }

  #turnOf(side: 'C' | 'S', at: number): OpenTurn {
    const last = this.#turns.at(-1)
    if (last?.side === side) return last
    if (this.#turns.length >= this.#limits.turns || this.#octets >= this.#limits.octets) this.#dropHalf()
    const turn: OpenTurn = { side, at, chunks: [], octets: 0, kept: 0 }
    this.#turns.push(turn)
    return turn
  }

  #dropHalf(): void {
    const dropped = this.#turns.splice(0, Math.ceil(this.#turns.length / 2))
    this.#dropped += dropped.length
    for (const { kept } of dropped) this.#octets -= kept
  }
}

/** Shows turns as a transcript; `dropped` is the number of turns before them. */
export function showTurns(turns: readonly Turn[], dropped: number = 0): string {
  const lines = turns.flatMap(show)
  if (dropped > 0) lines.unshift(`# … ${dropped} turns before`)
  return lines.join('\n')
}

function show({ side, octets, more }: Turn): string[] {
  const lines = linesOf(octets).map(line => showLine(side, line))
  if (more > 0) lines.push(`# … ${more} more octets`)
  return lines
}

/** Cuts octets behind each LF. */
export function linesOf(octets: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let rest = octets
  while (rest.length > 0) {
    const at = rest.indexOf('\n')
    const end = at < 0 ? rest.length : at + 1
    lines.push(rest.subarray(0, end))
    rest = rest.subarray(end)
  }
  return lines
}

function showLine(side: 'C' | 'S', line: Buffer): string {
  const text = line.subarray(-2).equals(CRLF) ? line.subarray(0, -2) : null
  if (text !== null && isPlain(text)) return `${side}: ${text.toString()}`
  return `${side}| ${escapeOctets(line)}`
}

const CRLF: Buffer = Buffer.from('\r\n')
