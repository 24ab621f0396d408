// Plays transcripts against a handler: whole, cut in two at every place, and octet by octet.

import type { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { MailHandlerError } from '../words/errors.ts'
import { checkKeys } from '../words/option-checks.ts'
import { describeChunking, everySplit, cutIntoWrites } from './chunking.ts'
import type { Chunking } from './chunking.ts'
import { converse } from './conversation.ts'
import type { Conversation } from './conversation.ts'
import { escapeOctets } from './escapes.ts'
import { parseTranscript, pipelined } from './transcript.ts'
import type { Transcript, TranscriptStep } from './transcript.ts'

/** Options of {@link playEverySplit}. */
export interface PlayOptions {
  /**
   * If true, the client waits for the greeting only, then sends everything in one write.
   *
   * @defaultValue false
   */
  readonly pipelined?: boolean
  /**
   * Milliseconds to wait for each reply.
   *
   * @defaultValue 5000
   */
  readonly timeout?: number
}

/** Options of {@link playTranscript}. */
export interface PlayOnceOptions extends PlayOptions {
  /**
   * How the client's octets are cut into writes.
   *
   * @defaultValue 'whole'
   */
  readonly chunking?: Chunking
}

/** The result of {@link playEverySplit}. */
export interface PlayedSplits {
  /** The number of sessions that were played. */
  readonly runs: number
  /** The octets that the server sent, the same in each session. */
  readonly output: Buffer
}

/**
 * Plays a transcript once: creates a handler, sends the client's lines, compares the replies, ends the session, and waits
 * until the handler has closed. Resolves with all octets that the server sent.
 *
 * @throws {MailHandlerError} `ERR_TRANSCRIPT` at the first reply that differs, is missing or was not
 * expected. Its message names the line of the transcript.
 *
 * @example
 * ```ts
 * await playTranscript('S: 220\nC: QUIT\nS: 221\nS: <closes>', () => new SmtpHandler())
 * ```
 */
export async function playTranscript(
  transcript: Transcript | string,
  makeHandler: () => Duplex,
  options: PlayOnceOptions = {},
): Promise<Buffer> {
  checkKeys('', options, ['pipelined', 'timeout', 'chunking'])
  const { chunking = 'whole', ...rest } = options
  return play(prepare(transcript, rest), makeHandler, chunking, rest)
}

/**
 * Plays a transcript whole, then cut in two at every place, then octet by octet, each time with a new handler. Every
 * session must send the same octets, so the replies must not contain times or random values.
 *
 * @throws {MailHandlerError} `ERR_TRANSCRIPT` at the first session that differs from the transcript or
 * from the session played whole. Its message names the place of the cut.
 *
 * @example
 * ```ts
 * await playEverySplit(await readFile('test/transcripts/pipelining.txt', 'utf8'), () => new SmtpHandler(options))
 * ```
 */
export async function playEverySplit(
  transcript: Transcript | string,
  makeHandler: () => Duplex,
  options: PlayOptions = {},
): Promise<PlayedSplits> {
  checkKeys('', options, ['pipelined', 'timeout'])
  const session = prepare(transcript, options)
  const output = await play(session, makeHandler, 'whole', options)
  const chunkings: Chunking[] = [...everySplit(session), 'bytes']
  for (const chunking of chunkings) {
    const other = await play(session, makeHandler, chunking, options)
    if (!other.equals(output)) throw differenceError(session, chunking, output, other)
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
    throw new MailHandlerError(
      'ERR_TRANSCRIPT',
      `${describeChunking(session, chunking)}: ${(error as Error).message}`,
      {
        cause: error,
      },
    )
  }
  return Buffer.concat(output)
}

async function playSteps(session: Transcript, conversation: Conversation, chunking: Chunking): Promise<void> {
  let start = 0
  for (const step of session.steps) {
    await playStep(step, conversation, cutIntoWrites(step.octets, start, chunking))
    start += step.octets.length
  }
  if (!session.closes) conversation.end()
  await conversation.closed()
  if (conversation.error !== null) throw playError(conversation, `the handler failed: ${conversation.error.message}`)
  if (!conversation.ended) throw playError(conversation, 'the handler closed without ending its replies')
  if (conversation.unread > 0) throw playError(conversation, 'an unexpected reply at the end')
  if (conversation.unfinished) throw playError(conversation, 'an incomplete reply at the end')
}

async function playStep(step: TranscriptStep, conversation: Conversation, chunks: readonly Buffer[]): Promise<void> {
  if (conversation.unread > 0) throw playError(conversation, `line ${step.line}: an unexpected reply before it`)
  for (const [i, chunk] of chunks.entries()) {
    if (i > 0) await nextTurn()
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

function prepare(transcript: Transcript | string, options: PlayOptions): Transcript {
  const parsed = typeof transcript === 'string' ? parseTranscript(transcript) : transcript
  return options.pipelined === true ? pipelined(parsed) : parsed
}

function differenceError(session: Transcript, chunking: Chunking, whole: Buffer, other: Buffer): MailHandlerError {
  const at = whole.findIndex((octet, i) => octet !== other[i])
  const from = at < 0 ? whole.length : at
  const show = (output: Buffer): string => `"${escapeOctets(output.subarray(Math.max(0, from - 40), from + 40))}"`
  return new MailHandlerError(
    'ERR_TRANSCRIPT',
    `${describeChunking(session, chunking)}: output differs from octet ${from} on: ${show(other)}, but whole: ${show(whole)}`,
  )
}

function playError(conversation: Conversation, message: string): MailHandlerError {
  return new MailHandlerError('ERR_TRANSCRIPT', `${message}\n\n${conversation.transcript}`)
}
