// What a SASL mechanism is: it talks to the client through an Exchange and ends in an Identity, or in none.
//
//   AUTH PLAIN AGpvZQBzZXNhbWU= → exchange.initial → mechanism.authenticate(exchange) → exchange.verify(credentials)
//                                                                                     → Identity: 235, null: 535

import { SmtpError } from '../../words/smtp-error.ts'
import { reply, type Reply } from '../../words/reply.ts'

/** A user name with its password, from PLAIN or LOGIN. The password is there to be read, but not to be listed or logged. */
export interface PasswordCredentials {
  readonly mechanism: 'PLAIN' | 'LOGIN'
  readonly user: string
  /** Whom the client asks to act as; empty: as itself. */
  readonly authzid: string
  /** Not enumerable: a log, JSON or a spread leaves it out. */
  readonly password: string
}

/** A bearer token, to be checked with whoever issued it. [RFC 6750] */
export interface TokenCredentials {
  readonly mechanism: 'XOAUTH2' | 'OAUTHBEARER'
  /** Whom the client claims to be; empty where it leaves that to the token (OAUTHBEARER only). */
  readonly user: string
  /** Not enumerable: a log, JSON or a spread leaves it out. */
  readonly token: string
  /** The host that the client believes it talks to (OAUTHBEARER only). */
  readonly host?: string
  /** The port that the client believes it talks to, 1 to 65535 (OAUTHBEARER only). */
  readonly port?: number
}

/** A user who has proved to know the password without sending it. */
export interface ProvenCredentials {
  readonly mechanism: 'SCRAM-SHA-256' | 'CRAM-MD5'
  readonly user: string
  /** Whom the client asks to act as; empty: as itself. */
  readonly authzid: string
  readonly verified: true
}

/**
 * The credentials of each mechanism, by its name. A program that has a mechanism of its own adds them:
 *
 * ```ts
 * declare module 'mailhandler' {
 *   interface CredentialsByMechanism {
 *     'X-TICKET': { readonly mechanism: 'X-TICKET'; readonly user: string; readonly ticket: string }
 *   }
 * }
 * ```
 */
export interface CredentialsByMechanism {
  readonly PLAIN: PasswordCredentials
  readonly LOGIN: PasswordCredentials
  readonly XOAUTH2: TokenCredentials
  readonly OAUTHBEARER: TokenCredentials
  readonly 'SCRAM-SHA-256': ProvenCredentials
  readonly 'CRAM-MD5': ProvenCredentials
}

/** What a client has shown of itself, told apart by `mechanism`. */
export type Credentials = CredentialsByMechanism[keyof CredentialsByMechanism]

/** Who was let in. */
export interface Identity {
  /** Whose secret it was, prepared. */
  readonly user: string
  /** Whom the user asked to act as, prepared; empty: as itself. */
  readonly authzid: string
}

/** How an exchange ended: with an identity (235), or null: refused (535 5.7.8). */
export type AuthResult = Identity | null

/** The session's side of one AUTH command: what a mechanism can do. */
export interface Exchange {
  /** The initial response, decoded; null when the command had none, which is not the same as an empty one. */
  readonly initial: Buffer | null
  /** Sends `334` with the data in base64 and resolves with the decoded answer. Rejects when the client cancels with `*`,
   * sends no base64, or goes away; a mechanism lets that pass. */
  challenge(data: Buffer | string): Promise<Buffer>
  /** Asks the program whether to let this client in. */
  verify(credentials: Credentials): Promise<boolean>
}

/** One SASL mechanism, with the state of no session in it: one object serves them all. [RFC 4422] */
export interface Mechanism {
  /** As EHLO lists it: capitals, digits, `-`, `_`. */
  readonly name: string
  /**
   * Runs one exchange. Throws an {@link SmtpError} `501 5.5.2` when a message of the client is not of the mechanism's form;
   * what `exchange` and a lookup reject with comes out as it is.
   */
  authenticate(exchange: Exchange): Promise<AuthResult>
}

/** The refusal of a client that has shown no credentials: it is no guess. */
export const NOTHING_SHOWN: Reply = reply(535, '5.7.8', 'Authentication failed')

/** The error for a message that is not of the mechanism's form; nothing of the message is in it. */
export function malformed(mechanism: string): SmtpError {
  return new SmtpError(reply(501, '5.5.2', `Malformed ${mechanism} response`))
}
