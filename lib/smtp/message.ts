// Mail data on its way from the wire to onMessage.
//
//   Body (transparency removed, limits) ─→ [normalizeNewlines] ─→ filters … ─→ Message ─→ onMessage
//
// Where nothing stands in between, the Body is the Message.

import { pipeline, type Readable, type Writable } from 'node:stream'
import { normalizeNewlines } from '../transforms/normalize-newlines.ts'
import type { Body } from '../stream/body.ts'
import { FilteredMessage, guard, type Fail } from './filtered-message.ts'
import type { Filter } from './hooks.ts'
import type { ResolvedOptions } from './options.ts'
import type { Session } from './session.ts'

/**
 * The mail data of one message, transparency removed. It ends only where it is whole; else it is destroyed, with the
 * code `ERR_TRUNCATED` where the client went away, `ERR_SIZE_LIMIT`, `ERR_BARE_NEWLINE`, or what a filter failed with.
 */
export interface Message extends Readable {
  /**
   * The same with transparency, as DATA sends it: for a relay. Read this one instead of the message, from the start;
   * throws `ERR_BODY_STARTED` later. [RFC 5321 §4.5.2]
   */
  raw(): Readable
}

/** A message, and how what stands before it fares. */
export interface PreparedMessage {
  readonly message: Message
  /**
   * It is taken, and who does not read it now will not: the filters see the rest. Resolves when they are done, with what
   * one of them failed with, or null; null where there are none.
   */
  finish(): Promise<Error | null> | null
  /** It is refused: nobody needs to see the rest. */
  drop(): void
}

/** Sets a body up as the message that `onMessage` gets; `over` is called once where it grows over the size. */
export function prepareMessage(
  body: Body,
  session: Session,
  options: ResolvedOptions,
  over: () => void,
): PreparedMessage {
  body.unstuffed().limitHeader(options.limits.header)
  if (options.size > 0) body.limit(options.size, over)
  const binary = session.envelope?.parameters.body === 'BINARYMIME' // Its lines are none. [RFC 3030 §3]
  if (options.bareNewline === 'reject' && !binary) body.refuseBareNewlines()

  const normalize: Filter[] = options.bareNewline === 'normalize' && !binary ? [normalizeNewlines] : []
  const filters = [...normalize, ...options.filters]
  if (filters.length === 0) return { message: body, finish: () => null, drop: nothing }

  const fail: Fail = error => void message.destroy(body.fail(error))
  const message = new FilteredMessage(fail)
  const stages = makeStages(filters, session, fail)
  const outcome = new Promise<Error | null>(resolve => {
    try {
      // A consumer that closes the message early is no failure; a filter that does so is.
      pipeline([body, ...stages, message], error => resolve(error && !message.left ? error : null))
    } catch (error) {
      // Later versions of Node throw where a filter is closed from the start.
      body.destroy()
      message.destroy(error as Error)
      resolve(error as Error)
    }
  })
  return {
    message,
    finish() {
      message.unread?.resume()
      return outcome
    },
    drop: () => void message.unread?.destroy(),
  }
}

function makeStages(filters: readonly Filter[], session: Session, fail: Fail): NodeJS.ReadWriteStream[] {
  const stages: NodeJS.ReadWriteStream[] = []
  try {
    for (const filter of filters) {
      const stage = filter(session)
      stage.on('error', nothing) // a filter may fail before pipeline() looks at it
      guard(stage, fail)
      stages.push(stage)
    }
  } catch (error) {
    for (const stage of stages as unknown as Partial<Writable>[]) stage.destroy?.()
    throw error
  }
  return stages
}

function nothing(): void {}
