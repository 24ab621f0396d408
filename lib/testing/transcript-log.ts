// Records the octets of both sides of a session, within limits, and shows them as a transcript.

import { escapeOctets, isPlain } from './escapes.ts'

interface Turn {
  readonly side: 'C' | 'S'
  readonly chunks: Buffer[]
  octets: number
  kept: number
}

/** Limits of what is kept: the first octets of a turn, the last turns of a session. */
const TURN_OCTETS = 4096
const TURNS = 2000

/** Records octets by side. Consecutive writes of one side form one turn, so the transcript does not depend on chunks. */
export class TranscriptLog {
  #turns: Turn[] = []
  #dropped = 0

  /** Records octets of the client (`C`) or the server (`S`). */
  add(side: 'C' | 'S', octets: Buffer): void {
    if (octets.length === 0) return
    const turn = this.#turnOf(side)
    turn.octets += octets.length
    if (turn.kept >= TURN_OCTETS) return
    const piece = octets.subarray(0, TURN_OCTETS - turn.kept)
    turn.chunks.push(piece)
    turn.kept += piece.length
  }

  /** Returns the transcript so far, in the notation that {@link parseTranscript} reads. */
  toString(): string {
    const lines = this.#turns.flatMap(show)
    if (this.#dropped > 0) lines.unshift(`# … ${this.#dropped} turns before`)
    return lines.join('\n')
  }

  #turnOf(side: 'C' | 'S'): Turn {
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
