// Hooks: how a program takes part in a session. Policies judge, one delivery takes.
//
//   RCPT ─ policy 1 ─ policy 2 ─ … ─ the handler's own hook ─ the delivery's hook ─→ reply
//
// Each is asked only if nobody before it has refused, so a delivery hears only of what everybody has accepted.

import type { Reply } from '../words/reply.ts'
import type { Credentials } from './auth/mechanism.ts'
import type { Recipient, Sender } from './envelope.ts'
import type { Message } from './message.ts'
import type { Offer } from './offer.ts'
import type { Session, SessionInTransaction } from './session.ts'

/**
 * What a hook returns, at once or later. Nothing: no opinion. A refusing reply (4yz, 5yz) is sent, and nobody further is
 * asked. A positive one is the text to use if nobody refuses; the last one counts: a 220 for the greeting, a 354 for
 * DATA, else any 2yz. EHLO's reply is always the list of extensions.
 */
export type HookAnswer = Reply | void | Promise<Reply | void>

/**
 * What `onMessage` returns: as a {@link HookAnswer}; in LMTP also a reply for each recipient, in their order, as a list
 * or one by one as they are known. [RFC 2033 §4.2]
 */
export type MessageAnswer =
  | Reply
  | readonly Reply[]
  | AsyncIterable<Reply>
  | void
  | Promise<Reply | readonly Reply[] | AsyncIterable<Reply> | void>

/** The hooks that judge, in the order in which a session comes to them. */
export interface JudgingHooks {
  /** Before the greeting: 554 or 421 refuses the client. */
  onConnect?(session: Session): HookAnswer
  /** After the handshake of STARTTLS; the layer is `session.tls`. A refusal is sent as 554, and ends the session. */
  onSecure?(session: Session): HookAnswer
  /** HELO, EHLO or LHLO; the name is `session.helo`. */
  onHelo?(session: Session): HookAnswer
  /**
   * A SASL exchange is complete. A positive reply lets the client in; without one, a password or a token is refused
   * with 535. A mechanism that has checked the secret itself says so with `verified`, and needs no further answer.
   */
  onAuth?(credentials: Credentials, session: Session): HookAnswer
  /** MAIL. */
  onMailFrom?(sender: Sender, session: Session): HookAnswer
  /** Each RCPT. */
  onRcptTo?(recipient: Recipient, session: SessionInTransaction): HookAnswer
  /** DATA, or the first BDAT, before 354. */
  onData?(session: SessionInTransaction): HookAnswer
  /** After RSET, a new HELO, and each transaction. */
  onReset?(session: Session): void | Promise<void>
  /** Once, however the session ended; `session.ending` says how. */
  onClose?(session: Session): void | Promise<void>
}

/** The hook that takes a message. */
export interface TakingHook {
  /**
   * The mail data; the verdict is sent after its end, when this is done. Nothing returned means 250, but 451 if the
   * message was destroyed with an error. `session.envelope.signal` is aborted when nobody waits for the verdict any more.
   * If it accepts a message before it has read it, the rest is discarded, and `ERR_UNREAD` is reported once; call
   * `message.resume()` to discard a message.
   */
  onMessage?(message: Message, session: SessionInTransaction): MessageAnswer
}

/**
 * Judges clients, senders and recipients: an object with any of the hooks but `onMessage`. Syntax and order of commands
 * have been checked before. What a hook throws becomes the reply: that of an `SmtpError`, 451 4.3.0 for any other error,
 * which is reported.
 */
export interface Policy extends JudgingHooks {
  /** The name of the policy in logs and metrics. @defaultValue `'unnamed'` */
  readonly name?: string
  /** A policy takes no message: that is a {@link Delivery}, or, if it only looks, a {@link Filter}. */
  readonly onMessage?: never
}

/**
 * Takes messages. Its hooks are asked last, after all policies and the handler's own hooks, so what it passes on was
 * refused by nobody.
 */
export interface Delivery extends Required<TakingHook> {
  /** The name of the delivery in logs and metrics. @defaultValue `'delivery'` */
  readonly name?: string
  /**
   * True: the delivery passes messages on, and takes lines that end with CRLF alone. `bareNewline: 'allow'` acts as
   * `'normalize'` then. @defaultValue false
   */
  readonly needsLines?: boolean
  /** MAIL, once everybody has accepted the sender: the place to pass it on. */
  onMailFrom?(sender: Sender, session: Session): HookAnswer
  /** Each RCPT, once everybody has accepted the recipient: the place to pass it on. */
  onRcptTo?(recipient: Recipient, session: SessionInTransaction): HookAnswer
  /** DATA, or the first BDAT, once everybody has accepted the transaction, before 354. */
  onData?(session: SessionInTransaction): HookAnswer
  /** After RSET, a new HELO, and each transaction: drop what belongs to the transaction. */
  onReset?(session: Session): void | Promise<void>
  /** Once, however the session ended; `session.ending` says how. */
  onClose?(session: Session): void | Promise<void>
  /**
   * Narrows what EHLO offers, each time it is said: a smaller `size`, fewer `extensions`. Synchronous. Adding something
   * is a program error: `ERR_OPTION`.
   */
  offer?(session: Session, offer: Offer): Offer
}

/** A stream that mail data passes through on its way to `onMessage`, made for each message. */
export type Filter = (session: SessionInTransaction) => NodeJS.ReadWriteStream

/** The name of a hook that judges. */
export type JudgingHook = 'onConnect' | 'onSecure' | 'onHelo' | 'onAuth' | 'onMailFrom' | 'onRcptTo' | 'onData'

/** The name of a hook that is only told. */
export type TellingHook = 'onReset' | 'onClose'

/** The name of a hook. */
export type HookName = JudgingHook | TellingHook | 'onMessage'

export const JUDGING_HOOKS: readonly JudgingHook[] = [
  'onConnect',
  'onSecure',
  'onHelo',
  'onAuth',
  'onMailFrom',
  'onRcptTo',
  'onData',
]

export const HOOKS: readonly HookName[] = [...JUDGING_HOOKS, 'onMessage', 'onReset', 'onClose']

/** The hooks that a delivery may have. */
export const DELIVERY_HOOKS: readonly HookName[] = [
  'onMailFrom',
  'onRcptTo',
  'onData',
  'onMessage',
  'onReset',
  'onClose',
]
