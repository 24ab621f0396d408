// BDAT: counted mail data. Its octets are always taken, even if the message is refused. [RFC 3030 §2]

import type { Phase } from '../protocol/commands/phase.ts'
import { controls, type MailHandler } from '../stream/mail-handler.ts'
import type { Reply } from '../words/reply.ts'
import * as known from './known-replies.ts'
import type { SmtpSession } from './smtp-session.ts'

/** `BDAT 1000`, `BDAT 0 LAST`; more digits could not be counted exactly. */
const ARGUMENT = /^(\d{1,15})( LAST)?[ \t]*$/i

/** Phases in which a refused BDAT fails the message, and a LAST ends the transaction. */
const IN_SEQUENCE: ReadonlySet<Phase> = new Set(['recipients', 'chunks', 'failed'])

/** One BDAT command. */
export interface Chunk {
  /** Octets that follow it. */
  readonly count: number
  readonly isLast: boolean
}

/** Reads the argument of BDAT; null if it is wrong, so that it is unknown how many octets follow. */
export function readChunk(argument: string): Chunk | null {
  const match = ARGUMENT.exec(argument)
  return match && { count: Number(match[1]), isLast: match[2] !== undefined }
}

/** Takes a chunk; `refusal` is why it is out of order, or null. Resolves with its reply. */
export async function receiveChunk(
  handler: MailHandler,
  session: SmtpSession,
  chunk: Chunk,
  refusal: Reply | null,
): Promise<Reply> {
  if (session.state.phase === 'failed') session.usage.countFailedChunk()
  const early = refusal ?? (await beforeChunk(handler, session, chunk.count))
  if (early === known.TOO_LARGE && session.options.oversize === 'close') return session.refuseAndEnd(early, 'limit')
  if (early !== null) {
    await controls.incoming(handler).takeOctets(chunk.count, null)
    return IN_SEQUENCE.has(session.state.phase) ? failChunks(handler, session, chunk, early) : early
  }
  const data = controls.incoming(handler).data!
  await controls.incoming(handler).takeOctets(chunk.count, data)
  if (chunk.isLast) return controls.incoming(handler).endCounted(data)
  await turn() // the verdict of a delivery that has refused early is there by then
  const refused = data.earlyRefusal
  return refused === null ? known.chunkTaken(chunk.count) : failChunks(handler, session, chunk, refused)
}

/** Before the octets: checks the size, and opens the message with the first chunk. Returns the refusal, or null. */
async function beforeChunk(handler: MailHandler, session: SmtpSession, count: number): Promise<Reply | null> {
  const { state } = session
  const { size } = session.offer
  if (size > 0 && session.octetsOfMessage + count > size) return session.passLimit('size', known.TOO_LARGE)
  if (state.phase === 'chunks') return null
  const answer = await session.askOnData()
  if (answer?.positive === false) return answer
  state.phase = 'chunks'
  controls.incoming(handler).open()
  session.onWait(controls.waiting(handler)) // for the verdict from now on: BDAT 0 LAST has no octets to wait for
  return null
}

/** The message is refused; the sequence goes on without it until LAST or RSET. */
async function failChunks(
  handler: MailHandler,
  session: SmtpSession,
  { isLast }: Chunk,
  refusal: Reply,
): Promise<Reply> {
  const { state } = session
  if (!isLast) {
    controls.incoming(handler).drop()
    state.phase = 'failed'
    return refusal
  }
  const recipients = state.transaction?.recipients.length ?? 1
  const verdict = state.isLmtp ? Array.from({ length: recipients }, () => refusal) : [refusal] // [RFC 2033 §4.3]
  return controls.dialogue(handler).sayAhead(await controls.dialogue(handler).observer!.onVerdict(verdict))
}

function turn(): Promise<void> {
  return new Promise(resolve => void setImmediate(resolve))
}
