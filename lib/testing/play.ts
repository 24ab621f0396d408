// Transcripts, played against a handler whole, cut in two at every place, octet by octet.

import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'

import { MailHandlerError } from '../words/errors.ts'
import { chunkingName, everySplit, pieces } from './chunking.ts'
import type { Chunking } from './chunking.ts'
import { converse } from './conversation.ts'
import type { Conversation } from './conversation.ts'
import { escapeOctets } from './escapes.ts'
import { parseTranscript, pipelined } from './transcript.ts'
import type { Transcript, TranscriptStep } from './transcript.ts'

/** Options of {@link playEverySplit}. */
export interface PlayOptions {
  /** True: the client sends everything after the greeting without waiting for replies. */
  readonly pipelined?: boolean
  /** Milliseconds to wait for each reply; 5,000 unless told. */
  readonly timeout?: number
}

/** Options of {@link playTranscript}. */
export interface PlayOnceOptions extends PlayOptions {
  /** `'whole'` unless told. */
  readonly chunking?: Chunking
}

/** What {@link playEverySplit} did. */
export interface PlayedSplits {
  /** How many sessions were played. */
  readonly runs: number
  /** What the server sent, the same in each. */
  readonly output: Buffer
}

/**
 * Plays a transcript once, on a handler made for it: sends what the client says, waits for the replies, ends, waits until
 * the handler has closed. Resolves with all octets that the server sent. Fails with a {@link MailHandlerError} with code
 * `ERR_TRANSCRIPT`, naming the line of the transcript, at the first reply that differs, comes unasked for or not at all.
 *
 * ```ts
 * await playTranscript('S: 220\nC: QUIT\nS: 221\nS: <closes>', () => new SmtpHandler())
 * ```
 */
export async function playTranscript(
  transcript: Transcript | string,
  makeHandler: () => Duplex,
  options: PlayOnceOptions = {},
): Promise<Buffer> {
  const { chunking = 'whole', ...rest } = options
  return play(resolve(transcript, rest), makeHandler, chunking, rest)
}

/**
 * Plays a transcript whole, then cut in two at every place, then octet by octet, each time on a new handler. Fails with
 * a {@link MailHandlerError} with code `ERR_TRANSCRIPT`, naming the place, at the first session that differs from the
 * transcript, or in any octet from the one played whole: so replies must not depend on time or chance.
 *
 * ```ts
 * await playEverySplit(await readFile('test/transcripts/pipelining.txt', 'utf8'), () => new SmtpHandler(options))
 * ```
 */
export async function playEverySplit(
  transcript: Transcript | string,
  makeHandler: () => Duplex,
  options: PlayOptions = {},
): Promise<PlayedSplits> {
  const session = resolve(transcript, options)
  const output = await play(session, makeHandler, 'whole', options)
  const chunkings: Chunking[] = [...everySplit(session), 'bytes']
  for (const chunking of chunkings) {
    const other = await play(session, makeHandler, chunking, options)
    if (!other.equals(output)) throw differ(session, chunking, output, other)
  }
  return { runs: chunkings.length + 1, output }
}

async function play(
  session: Transcript,
  makeHandler: () => Duplex,
  chunking: Chunking,
  options: PlayOptions,
): Promise<Buffer> {
  const { timeout } = options
  const handler = makeHandler()
  const output: Buffer[] = []
  const conversation = converse(handler, timeout === undefined ? {} : { timeout })
  handler.on('data', (octets: Buffer) => output.push(octets))
  try {
    await playSteps(session, conversation, chunking)
  } catch (error) {
    handler.destroy()
    throw new MailHandlerError('ERR_TRANSCRIPT', `${chunkingName(session, chunking)}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  return Buffer.concat(output)
}

async function playSteps(session: Transcript, conversation: Conversation, chunking: Chunking): Promise<void> {
  let start = 0
  for (const step of session.steps) {
    await playStep(step, conversation, pieces(step.octets, start, chunking))
    start += step.octets.length
  }
  if (!session.closes) conversation.end()
  await conversation.closed()
  if (conversation.error !== null) throw fault(conversation, `the handler failed: ${conversation.error.message}`)
  if (!conversation.ended) throw fault(conversation, 'the handler closed without ending its replies')
  if (conversation.unread > 0) throw fault(conversation, 'a reply too many at the end')
  if (conversation.unfinished) throw fault(conversation, 'octets at the end that are no whole reply')
}

async function playStep(step: TranscriptStep, conversation: Conversation, chunks: readonly Buffer[]): Promise<void> {
  if (conversation.unread > 0) throw fault(conversation, `line ${step.line}: a reply too many before it`)
  for (const [i, chunk] of chunks.entries()) {
    if (i > 0) await turn()
    if (!conversation.write(chunk)) await conversation.drained()
  }
  for (const reply of step.replies) {
    try {
      await conversation.expect(reply.text)
    } catch (error) {
      throw new MailHandlerError('ERR_TRANSCRIPT', `line ${reply.line}: ${(error as Error).message}`, { cause: error })
    }
  }
}

function resolve(transcript: Transcript | string, options: PlayOptions): Transcript {
  const parsed = typeof transcript === 'string' ? parseTranscript(transcript) : transcript
  return options.pipelined === true ? pipelined(parsed) : parsed
}

function differ(session: Transcript, chunking: Chunking, whole: Buffer, other: Buffer): MailHandlerError {
  const at = whole.findIndex((octet, i) => octet !== other[i])
  const from = at < 0 ? whole.length : at
  const show = (output: Buffer): string => `"${escapeOctets(output.subarray(Math.max(0, from - 40), from + 40))}"`
  return new MailHandlerError(
    'ERR_TRANSCRIPT',
    `${chunkingName(session, chunking)}: output differs from octet ${from} on: ${show(other)}, but whole: ${show(whole)}`,
  )
}

function fault(conversation: Conversation, message: string): MailHandlerError {
  return new MailHandlerError('ERR_TRANSCRIPT', `${message}\n\n${conversation.transcript}`)
}
