// Parses transcripts: SMTP sessions as text. Pure.

import { MailHandlerError } from '../words/errors.ts'
import { unescapeOctets } from './escapes.ts'

/** A reply that the server must send. */
export interface TranscriptReply {
  /** The line of the transcript where it begins, from 1. */
  readonly line: number
  /** The text to compare with, as in {@link ExpectedReply}: lines separated by `\n`. */
  readonly text: string
}

/** Octets that the client sends, and the replies that it waits for before the next step. */
export interface TranscriptStep {
  /** The line of the transcript where it begins, from 1. */
  readonly line: number
  /** What the client sends; empty in the first step, where the client waits for the greeting. */
  readonly octets: Buffer
  /** The replies that must come, in this order; empty if the client goes on without waiting. */
  readonly replies: readonly TranscriptReply[]
}

/** A parsed transcript, created by {@link parseTranscript}. */
export interface Transcript {
  /** In their order; the client waits for the replies of each before it takes the next. */
  readonly steps: readonly TranscriptStep[]
  /** True if the server must end the session: the last line was `S: <closes>`. */
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
 * Parses a transcript:
 *
 * ```text
 * # a comment; empty lines and blanks before a line are ignored
 * S: 220 mx.example.org …
 * C: EHLO client.example
 * S: 250-mx.example.org
 * S: 250 SIZE *
 * C: DATA
 * S: 354
 * C: mail data, line by line as it is sent
 * C: ..lines that begin with a dot are written stuffed
 * C| a bare LF\n, any octet \x00, and no CRLF unless \r\n
 * C: .
 * S: 250 2.0.0 OK
 * C: QUIT
 * S: 221
 * S: <closes>
 * ```
 *
 * `C:` sends the text and CRLF. `C|` sends the text alone, with the escapes `\r`, `\n`, `\t`, `\0`, `\\`, `\xHH`. `S:`
 * expects a reply line: exactly this text, a prefix that ends with `…` or `*`, or a code alone for a whole reply.
 * `S: <closes>`, as the last line only, expects the server to end the session.
 *
 * @throws {MailHandlerError} `ERR_TRANSCRIPT` and the number of the line for any other line.
 */
export function parseTranscript(text: string): Transcript {
  const entries = text.split(/\r?\n/).flatMap((line, i) => parseLine(line.trimStart(), i + 1))
  const closes = isCloseEntry(entries.at(-1))
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
 * Returns the same session with a client that waits only for the greeting and then sends everything in one write. This
 * is legal only if no command that must end a group is followed by another one. [RFC 2920 §3.1]
 */
export function pipelined(transcript: Transcript): Transcript {
  const start = transcript.steps.findIndex(step => step.octets.length > 0)
  const rest = start < 0 ? [] : transcript.steps.slice(start)
  const [first] = rest
  if (first === undefined) return transcript
  const all: TranscriptStep = {
    line: first.line,
    octets: Buffer.concat(rest.map(step => step.octets)),
    replies: rest.flatMap(step => step.replies),
  }
  return { ...transcript, steps: [...transcript.steps.slice(0, start), all] }
}

function parseLine(line: string, number: number): Entry[] {
  if (line === '' || line.startsWith('#')) return []
  const match = NOTATION.exec(line)
  if (match === null) throw syntaxError(number, 'does not begin with "C: ", "C| ", "S: " or "#"')
  const [, notation, text = ''] = match
  if (notation === 'S:') return [{ line: number, kind: 'S', octets: Buffer.alloc(0), text }]
  const octets = notation === 'C:' ? Buffer.from(`${text}\r\n`) : unescapeLine(text, number)
  return [{ line: number, kind: 'C', octets, text }]
}

function unescapeLine(text: string, number: number): Buffer {
  try {
    return unescapeOctets(text)
  } catch (error) {
    throw syntaxError(number, (error as Error).message)
  }
}

function joinReplies(entries: readonly Entry[]): TranscriptReply[] {
  const replies: TranscriptReply[] = []
  let open: { line: number; text: string } | null = null
  for (const { line, text } of entries) {
    const match = REPLY_LINE.exec(text)
    if (match === null) throw syntaxError(line, `not a reply line: ${JSON.stringify(text)}`)
    if (open !== null && !open.text.startsWith(match[1] ?? ''))
      throw syntaxError(line, 'the code changes within a reply')
    open = open === null ? { line, text } : { line: open.line, text: `${open.text}\n${text}` }
    if (match[2] === '-') continue
    replies.push(open)
    open = null
  }
  if (open !== null) throw syntaxError(open.line, 'the reply has no last line such as "250 …", with a space')
  return replies
}

function isCloseEntry(entry: Entry | undefined): boolean {
  return entry?.kind === 'S' && entry.text === CLOSES
}

function indexFrom(entries: readonly Entry[], from: number, kind: 'C' | 'S'): number {
  const found = entries.findIndex((entry, i) => i >= from && entry.kind === kind)
  return found < 0 ? entries.length : found
}

function syntaxError(line: number, message: string): MailHandlerError {
  return new MailHandlerError('ERR_TRANSCRIPT', `transcript line ${line}: ${message}`)
}
