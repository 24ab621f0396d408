// Mail data on its way from the wire to onMessage.
//
//   Body (transparency removed, line ends, limits) ─→ filters … ─→ Message ─→ onMessage
//
// Without filters the Body is the Message.

import { pipeline, type Writable } from 'node:stream'
import { show, wrong } from '../words/option-checks.ts'
import { sessionEnded } from '../stream/dialogue.ts'
import type { MailData } from '../stream/mail-data.ts'
import { FilteredMessage, guard, type Fail } from './filtered-message.ts'
import type { Filter } from './hooks.ts'
import type { Message } from './message.ts'
import type { ResolvedOptions } from './options.ts'
import type { SessionInTransaction } from './session.ts'

/** A message, and the filters before it. */
export interface PreparedMessage {
  readonly message: Message
  /**
   * The message is taken, and an unread rest is not read any more: the filters see it. Resolves when they are done, with
   * the error of one that failed, or null; null if there are no filters.
   */
  finish(): Promise<Error | null> | null
  /** The message is refused: nobody needs to see the rest. */
  drop(): void
}

/**
 * Sets mail data up as the message that `onMessage` gets; `size` is how many octets were offered, 0: no limit. Throws what a
 * filter throws, and `ERR_SESSION_ENDED` if one has destroyed the handler: the others are not made.
 */
export function prepareMessage(
  data: MailData,
  session: SessionInTransaction,
  options: ResolvedOptions,
  size: number,
): PreparedMessage {
  const { body } = data
  const isBinary = session.envelope.parameters.body === 'BINARYMIME' // its line ends are content [RFC 3030 §3]
  data.choose({ unstuff: true, bareNewline: isBinary ? 'allow' : options.bareNewline })
  data.limitHeader(options.limits.header)
  if (size > 0) data.limitSize(size)
  const { filters } = options
  if (filters.length === 0) return { message: body, finish: () => null, drop: nothing }

  const fail: Fail = error => void message.destroy(data.fail(error))
  const message = new FilteredMessage(fail)
  const stages = makeStages(filters, session, fail)
  const outcome = new Promise<Error | null>(resolve => {
    try {
      // A consumer that closes the message early is no failure; a filter that does so is.
      pipeline([body, ...stages, message], error => resolve(error && !message.isLeft ? error : null))
    } catch (error) {
      // Later versions of Node throw if a filter is closed from the start.
      body.destroy()
      message.destroy(error as Error)
      resolve(error as Error)
    }
  })
  return {
    message,
    finish() {
      message.discardUnread()
      return outcome
    },
    drop: () => void message.unread?.destroy(),
  }
}

function makeStages(filters: readonly Filter[], session: SessionInTransaction, fail: Fail): NodeJS.ReadWriteStream[] {
  const stages: NodeJS.ReadWriteStream[] = []
  try {
    for (const filter of filters) {
      const stage = filter(session)
      if (typeof (stage as Partial<NodeJS.ReadWriteStream> | null | undefined)?.write !== 'function') {
        throw wrong(`filters[${filters.indexOf(filter)}] returned ${show(stage)}; return the stream that it makes`)
      }
      stage.on('error', nothing) // a filter may fail before pipeline() listens to it
      guard(stage, fail)
      stages.push(stage)
      if (session.ended) throw sessionEnded()
    }
  } catch (error) {
    for (const stage of stages as unknown as Partial<Writable>[]) stage.destroy?.()
    throw error
  }
  return stages
}

function nothing(): void {}
