// Transcripts: sessions written down as text. Pure.

import { MailHandlerError } from '../words/errors.ts'
import { unescapeOctets } from './escapes.ts'

/** A reply that the server must give. */
export interface TranscriptReply {
  /** Where it begins in the transcript, from 1. */
  readonly line: number
  /** As {@link ExpectedReply} has it: lines parted by `\n`. */
  readonly text: string
}

/** What the client sends, and the replies that must follow before it goes on. */
export interface TranscriptStep {
  /** Where it begins in the transcript, from 1. */
  readonly line: number
  /** Empty where the server speaks first. */
  readonly octets: Buffer
  readonly replies: readonly TranscriptReply[]
}

/** A session written down; made by {@link parseTranscript}. */
export interface Transcript {
  readonly steps: readonly TranscriptStep[]
  /** True where the server must end the session by itself: the last line was `S: <closes>`. */
  readonly closes: boolean
}

interface Entry {
  readonly line: number
  readonly kind: 'C' | 'S'
  readonly octets: Buffer
  readonly text: string
}

const CLOSES = '<closes>'
const NOTATION = /^(C:|C\||S:)(?: (.*))?$/
const REPLY_LINE = /^(\d{3})(?:([ -]).*)?$/

/**
 * Reads a transcript:
 *
 * ```text
 * # a comment; so are empty lines, and blanks before a line do not count
 * S: 220 mx.example.org …
 * C: EHLO client.example
 * S: 250-mx.example.org
 * S: 250 SIZE *
 * C: DATA
 * S: 354
 * C: mail data, line by line as it is sent
 * C: ..transparency is the writer's
 * C| a bare LF\n or any octet \x00, and no CRLF but \r\n
 * C: .
 * S: 250 2.0.0 OK
 * C: QUIT
 * S: 221
 * S: <closes>
 * ```
 *
 * `C:` adds CRLF; `C|` adds nothing and knows `\r`, `\n`, `\t`, `\0`, `\\`, `\xHH`. `S:` is a reply line exactly, or up
 * to a `…` or `*` at its end, or a code alone for a whole reply. `S: <closes>` may come last: the server must end the session.
 * Throws a {@link MailHandlerError} with code `ERR_TRANSCRIPT`, naming the line, for anything else.
 */
export function parseTranscript(text: string): Transcript {
  const entries = text.split(/\r?\n/).flatMap((line, i) => parseLine(line.trimStart(), i + 1))
  const closes = isClose(entries.at(-1))
  if (closes) entries.pop()
  const steps: TranscriptStep[] = []
  let at = 0
  while (at < entries.length) {
    const replies = indexFrom(entries, at, 'S')
    const next = indexFrom(entries, replies, 'C')
    steps.push({
      line: entries[at]?.line ?? 0,
      octets: Buffer.concat(entries.slice(at, replies).map(entry => entry.octets)),
      replies: joinReplies(entries.slice(replies, next)),
    })
    at = next
  }
  return { steps, closes }
}

/**
 * The same session by a client that waits for the greeting alone and then sends all it has in one write. Lawful only
 * where nothing that must end a group of commands is followed by another. [RFC 2920 §3.1]
 */
export function pipelined(transcript: Transcript): Transcript {
  const speaks = transcript.steps.findIndex(step => step.octets.length > 0)
  const rest = speaks < 0 ? [] : transcript.steps.slice(speaks)
  const [first] = rest
  if (first === undefined) return transcript
  const all: TranscriptStep = {
    line: first.line,
    octets: Buffer.concat(rest.map(step => step.octets)),
    replies: rest.flatMap(step => step.replies),
  }
  return { ...transcript, steps: [...transcript.steps.slice(0, speaks), all] }
}

function parseLine(line: string, number: number): Entry[] {
  if (line === '' || line.startsWith('#')) return []
  const match = NOTATION.exec(line)
  if (match === null) throw wrong(number, 'begins with none of "C: ", "C| ", "S: ", "#"')
  const [, notation, text = ''] = match
  if (notation === 'S:') return [{ line: number, kind: 'S', octets: Buffer.alloc(0), text }]
  const octets = notation === 'C:' ? Buffer.from(`${text}\r\n`) : unescapeLine(text, number)
  return [{ line: number, kind: 'C', octets, text }]
}

function unescapeLine(text: string, number: number): Buffer {
  try {
    return unescapeOctets(text)
  } catch (error) {
    throw wrong(number, (error as Error).message)
  }
}

function joinReplies(entries: readonly Entry[]): TranscriptReply[] {
  const replies: TranscriptReply[] = []
  let open: { line: number; text: string } | null = null
  for (const { line, text } of entries) {
    const match = REPLY_LINE.exec(text)
    if (match === null) throw wrong(line, `no reply line: ${JSON.stringify(text)}`)
    if (open !== null && !open.text.startsWith(match[1] ?? '')) throw wrong(line, 'the code changes within a reply')
    open = open === null ? { line, text } : { line: open.line, text: `${open.text}\n${text}` }
    if (match[2] === '-') continue
    replies.push(open)
    open = null
  }
  if (open !== null) throw wrong(open.line, 'the reply has no last line, "250 …" with a space')
  return replies
}

function isClose(entry: Entry | undefined): boolean {
  return entry?.kind === 'S' && entry.text === CLOSES
}

function indexFrom(entries: readonly Entry[], from: number, kind: 'C' | 'S'): number {
  const found = entries.findIndex((entry, i) => i >= from && entry.kind === kind)
  return found < 0 ? entries.length : found
}

function wrong(line: number, message: string): MailHandlerError {
  return new MailHandlerError('ERR_TRANSCRIPT', `transcript line ${line}: ${message}`)
}
