// What happens in sessions, for logs and metrics. Costs nothing without subscribers.

import { channel, type Channel } from 'node:diagnostics_channel'
import type { Strictness } from '../protocol/addresses/characters.ts'
import type { Command } from '../protocol/commands/command.ts'
import type { Envelope } from './envelope.ts'
import type { Session } from './session.ts'
import type { Reply } from '../words/reply.ts'

/** `mailhandler:session`: a session begins or ends. */
export interface SessionEvent {
  readonly event: 'start' | 'end'
  readonly session: Session
}

/** `mailhandler:command`: a command came. Its argument is left out if it holds a secret. */
export interface CommandEvent {
  readonly session: Session
  readonly verb: string
  /** Null for AUTH. */
  readonly argument: string | null
}

/** `mailhandler:reply`: a reply was given. */
export interface ReplyEvent {
  readonly session: Session
  readonly reply: Reply
}

/** `mailhandler:message`: mail data begins to come in. */
export interface MessageEvent {
  readonly session: Session
  readonly envelope: Envelope
}

/** `mailhandler:transaction`: a transaction with mail data is over. */
export interface TransactionEvent {
  readonly session: Session
  readonly envelope: Envelope
  /** Octets of mail data. */
  readonly octets: number
  /** Milliseconds from DATA, or the first BDAT, to the verdict. */
  readonly milliseconds: number
  /** What the client was told; empty if it was gone before. */
  readonly verdict: readonly Reply[]
}

/** `mailhandler:error`: what a hook threw, or that it took too long. */
export interface ErrorEvent {
  readonly session: Session
  readonly error: Error
}

/** `mailhandler:limit`: a limit was hit. */
export interface LimitEvent {
  readonly session: Session
  /** The name of the option: `'errors'`, `'idle'`, `'recipients'` … */
  readonly limit: string
}

/** `mailhandler:refusal`: a hook has refused. */
export interface RefusalEvent {
  readonly session: Session
  /** `'onRcptTo'`, `'onMessage'` … */
  readonly hook: string
  /** The `name` of the policy, `'unnamed'` without one; `'handler'` for the handler's own hook. */
  readonly policy: string
  /** What the client was told. */
  readonly reply: Reply
}

/** `mailhandler:notice`: a command was refused that a laxer `strictness` accepts; told once a session. */
export interface NoticeEvent {
  readonly session: Session
  /** `'MAIL'`, `'RCPT'`, or a greeting. */
  readonly verb: string
  /** As the client sent it: escape it wherever it is shown. */
  readonly argument: string
  /** The first mode that accepts the command. */
  readonly acceptedBy: Exclude<Strictness, 'strict'>
}

/** Every channel, by what comes after `mailhandler:`. */
export const channels = {
  session: channel('mailhandler:session') as Channel<unknown, SessionEvent>,
  command: channel('mailhandler:command') as Channel<unknown, CommandEvent>,
  reply: channel('mailhandler:reply') as Channel<unknown, ReplyEvent>,
  message: channel('mailhandler:message') as Channel<unknown, MessageEvent>,
  transaction: channel('mailhandler:transaction') as Channel<unknown, TransactionEvent>,
  refusal: channel('mailhandler:refusal') as Channel<unknown, RefusalEvent>,
  error: channel('mailhandler:error') as Channel<unknown, ErrorEvent>,
  limit: channel('mailhandler:limit') as Channel<unknown, LimitEvent>,
  notice: channel('mailhandler:notice') as Channel<unknown, NoticeEvent>,
} as const

/** AUTH, however badly written: a secret may follow. */
const LIKE_AUTH = /^\s*AUTH(?![a-z])/i

/** The event for a command, its secret left out. */
export function commandEvent(session: Session, { verb, argument, line }: Command): CommandEvent {
  return LIKE_AUTH.test(line) ? { session, verb: 'AUTH', argument: null } : { session, verb, argument }
}
