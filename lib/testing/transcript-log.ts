// What went over the wire in both directions, kept within bounds, shown as a transcript when asked for.

import { escapeOctets, isPlain } from './escapes.ts'

interface Turn {
  readonly side: 'C' | 'S'
  readonly chunks: Buffer[]
  octets: number
  kept: number
}

/** Octets of one turn, and turns, that are kept. Of longer turns the beginning, of longer sessions the end. */
const TURN_OCTETS = 4096
const TURNS = 2000

/** Records octets by side; consecutive writes of one side are one turn, so that chunking does not show. */
export class TranscriptLog {
  #turns: Turn[] = []
  #dropped = 0

  /** Notes octets of the client (`C`) or the server (`S`). */
  add(side: 'C' | 'S', octets: Buffer): void {
    if (octets.length === 0) return
    const turn = this.#turn(side)
    turn.octets += octets.length
    if (turn.kept >= TURN_OCTETS) return
    const piece = octets.subarray(0, TURN_OCTETS - turn.kept)
    turn.chunks.push(piece)
    turn.kept += piece.length
  }

  /** The transcript so far, in the notation that {@link parseTranscript} reads. */
  toString(): string {
    const lines = this.#turns.flatMap(show)
    if (this.#dropped > 0) lines.unshift(`# … ${this.#dropped} turns before`)
    return lines.join('\n')
  }

  #turn(side: 'C' | 'S'): Turn {
    const last = this.#turns.at(-1)
    if (last?.side === side) return last
    if (this.#turns.length >= TURNS) {
      this.#turns = this.#turns.slice(TURNS / 2)
      this.#dropped += TURNS / 2
    }
    const turn: Turn = { side, chunks: [], octets: 0, kept: 0 }
    this.#turns.push(turn)
    return turn
  }
}

function show(turn: Turn): string[] {
  const lines: string[] = []
  let rest = Buffer.concat(turn.chunks)
  while (rest.length > 0) {
    const at = rest.indexOf('\n')
    const end = at < 0 ? rest.length : at + 1
    lines.push(showLine(turn.side, rest.subarray(0, end)))
    rest = rest.subarray(end)
  }
  if (turn.octets > turn.kept) lines.push(`# … ${turn.octets - turn.kept} more octets`)
  return lines
}

function showLine(side: 'C' | 'S', line: Buffer): string {
  const text = line.subarray(-2).equals(CRLF) ? line.subarray(0, -2) : null
  if (text !== null && isPlain(text)) return `${side}: ${text.toString()}`
  return `${side}| ${escapeOctets(line)}`
}

const CRLF: Buffer = Buffer.from('\r\n')
