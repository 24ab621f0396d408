// What happens in sessions, for logs and metrics. Costs nothing without subscribers.

import { channel, type Channel } from 'node:diagnostics_channel'
import type { Strictness } from '../protocol/addresses/characters.ts'
import type { Command } from '../protocol/commands/command.ts'
import type { Envelope } from './envelope.ts'
import type { Session } from './session.ts'
import type { Reply } from '../words/reply.ts'

/** `mailhandler:session`: a session begins or ends. */
export interface SessionEvent {
  /** `start`: before the greeting; `end`: after `onClose`, once for each start. */
  readonly event: 'start' | 'end'
  /** The session; at `end` its `ending` is set. */
  readonly session: Session
}

/** `mailhandler:command`: a command came. Its argument is left out if it holds a secret. */
export interface CommandEvent {
  /** The session as it was before the command changed it. */
  readonly session: Session
  /** In upper case, as the client sent it: it need not be a known one. */
  readonly verb: string
  /** Null for AUTH. */
  readonly argument: string | null
}

/** `mailhandler:reply`: a reply was given. */
export interface ReplyEvent {
  /** The session as the command has left it. */
  readonly session: Session
  /** As it is sent, with its enhanced status code. */
  readonly reply: Reply
}

/** `mailhandler:message`: mail data begins to come in. */
export interface MessageEvent {
  /** The session that the message comes by. */
  readonly session: Session
  /** The transaction, with the accepted recipients. */
  readonly envelope: Envelope
}

/** `mailhandler:transaction`: a transaction with mail data is over. */
export interface TransactionEvent {
  /** The session that had the transaction. */
  readonly session: Session
  /** The transaction that is over, with the accepted recipients. */
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
  /** The session whose hook, delivery or filter failed. */
  readonly session: Session
  /** What was thrown, or a {@link MailHandlerError} `ERR_TIMEOUT`. */
  readonly error: Error
}

/** `mailhandler:limit`: a limit was hit. */
export interface LimitEvent {
  /** The session that passed the limit; told once for each limit. */
  readonly session: Session
  /** The name of the option: `'errors'`, `'idle'`, `'recipients'` … */
  readonly limit: string
}

/** `mailhandler:refusal`: a hook has refused. */
export interface RefusalEvent {
  /** The session whose client was refused; at `onMailFrom` it has no envelope yet. */
  readonly session: Session
  /** `'onRcptTo'`, `'onMessage'` … */
  readonly hook: string
  /** The `name` of the policy, `'unnamed'` without one; `'handler'` for the handler's own hook. */
  readonly policy: string
  /** What the client was told. */
  readonly reply: Reply
}

/** `mailhandler:login`: a client showed wrong credentials. */
export interface LoginEvent {
  /** The session of the client. */
  readonly session: Session
  /** The name of the mechanism, `'PLAIN'`. */
  readonly mechanism: string
  /** Whom the client wanted to be: escape it wherever it is shown; null if it is not known. */
  readonly user: string | null
  /** What the client was told. */
  readonly reply: Reply
}

/** `mailhandler:notice`: a command was refused that a laxer `strictness` accepts; told once a session. */
export interface NoticeEvent {
  /** The session whose client sent the command. */
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
  /** A session begins or ends: {@link SessionEvent}. */
  session: channel('mailhandler:session') as Channel<unknown, SessionEvent>,
  /** A command came: {@link CommandEvent}. */
  command: channel('mailhandler:command') as Channel<unknown, CommandEvent>,
  /** A reply was given: {@link ReplyEvent}. */
  reply: channel('mailhandler:reply') as Channel<unknown, ReplyEvent>,
  /** Mail data begins to come in: {@link MessageEvent}. */
  message: channel('mailhandler:message') as Channel<unknown, MessageEvent>,
  /** A transaction with mail data is over: {@link TransactionEvent}. */
  transaction: channel('mailhandler:transaction') as Channel<unknown, TransactionEvent>,
  /** A hook has refused: {@link RefusalEvent}. */
  refusal: channel('mailhandler:refusal') as Channel<unknown, RefusalEvent>,
  /** A hook failed: {@link ErrorEvent}. */
  error: channel('mailhandler:error') as Channel<unknown, ErrorEvent>,
  /** A limit was passed: {@link LimitEvent}. */
  limit: channel('mailhandler:limit') as Channel<unknown, LimitEvent>,
  /** A client showed wrong credentials: {@link LoginEvent}. */
  login: channel('mailhandler:login') as Channel<unknown, LoginEvent>,
  /** `strictness` refused what a laxer mode accepts: {@link NoticeEvent}. */
  notice: channel('mailhandler:notice') as Channel<unknown, NoticeEvent>,
} as const

/** AUTH, however badly written: a secret may follow. */
const LIKE_AUTH = /^\s*AUTH(?![a-z])/i

/** The event for a command, its secret left out. */
export function commandEvent(session: Session, { verb, argument, line }: Command): CommandEvent {
  return LIKE_AUTH.test(line) ? { session, verb: 'AUTH', argument: null } : { session, verb, argument }
}
