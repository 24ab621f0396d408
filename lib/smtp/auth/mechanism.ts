// A SASL mechanism talks to the client through an Exchange, and returns an Identity or null.
//
//   AUTH PLAIN AGpvZQBzZXNhbWU= → exchange.initial → mechanism.authenticate(exchange) → exchange.verify(credentials)
//                                                                                     → Identity: 235, null: 535

import { SmtpError } from '../../words/smtp-error.ts'
import { reply, type Reply } from '../../words/reply.ts'

/** A user name and its password, from PLAIN or LOGIN. */
export interface PasswordCredentials {
  /** The mechanism that the client used; both send the password itself. [RFC 4616] */
  readonly mechanism: 'PLAIN' | 'LOGIN'
  /** Whose password it is; the name is prepared (SASLprep unless the mechanism's option `prepare` differs). [RFC 4013] */
  readonly user: string
  /** Whom the client asks to act as; empty if as itself. */
  readonly authzid: string
  /** Not enumerable: a log, JSON or a spread leaves it out. */
  readonly password: string
}

/** A bearer token; its issuer can say whether it is valid. [RFC 6750] */
export interface TokenCredentials {
  /** The mechanism that the client used: Google's XOAUTH2, or OAUTHBEARER. [RFC 7628] */
  readonly mechanism: 'XOAUTH2' | 'OAUTHBEARER'
  /** Whom the client claims to be; empty if it leaves that to the token (OAUTHBEARER only). */
  readonly user: string
  /** Not enumerable: a log, JSON or a spread leaves it out. */
  readonly token: string
  /** The host that the client believes it talks to (OAUTHBEARER only). */
  readonly host?: string
  /** The port that the client believes it talks to, 1 to 65535 (OAUTHBEARER only). */
  readonly port?: number
}

/** A user who has proved to know the password without sending it; the mechanism has checked the proof. */
export interface ProvenCredentials {
  /** The mechanism that has checked the proof. [RFC 7677, RFC 2195] */
  readonly mechanism: 'SCRAM-SHA-256' | 'CRAM-MD5'
  /** Whose password was proved; the name is prepared. [RFC 4013] */
  readonly user: string
  /** Whom the client asks to act as; empty if as itself. */
  readonly authzid: string
  /** Always true: no hook has to check a secret. `onAuth` can still refuse the user. */
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
  /** User name and password in one message. [RFC 4616] */
  readonly PLAIN: PasswordCredentials
  /** User name and password, one message each; older than SASL's registry, for clients without PLAIN. */
  readonly LOGIN: PasswordCredentials
  /** A bearer token in the form that Google and Microsoft introduced. */
  readonly XOAUTH2: TokenCredentials
  /** A bearer token with the host and port that it is meant for. [RFC 7628] */
  readonly OAUTHBEARER: TokenCredentials
  /** A proof of the password; the server needs only salted keys. [RFC 7677] */
  readonly 'SCRAM-SHA-256': ProvenCredentials
  /** A proof of the password; the server needs the password in clear. [RFC 2195] */
  readonly 'CRAM-MD5': ProvenCredentials
}

/** What a client has shown to authenticate; `mechanism` tells which of the types it is. */
export type Credentials = CredentialsByMechanism[keyof CredentialsByMechanism]

/** Who has authenticated. */
export interface Identity {
  /** The user whose secret it was; the name is prepared. */
  readonly user: string
  /** Whom the user asked to act as; the name is prepared; empty if as itself. */
  readonly authzid: string
}

/** How an exchange ended: with an identity (235), or with null for wrong credentials (535 5.7.8). */
export type AuthResult = Identity | null

/** What a mechanism can do in one AUTH command. */
export interface Exchange {
  /** The initial response, decoded; null if the command had none, which differs from an empty one. */
  readonly initial: Buffer | null
  /**
   * Sends `334` with the data in base64, and resolves with the decoded response. Rejects if the client cancels with `*`,
   * sends invalid base64, or leaves; a mechanism does not catch that.
   */
  challenge(data: Buffer | string): Promise<Buffer>
  /** Asks the hooks, `onAuth`, whether to accept these credentials. */
  verify(credentials: Credentials): Promise<boolean>
  /** Tells whom the client wants to be, before that is proven: for logs of failed logins. `verify` tells it too. */
  claim?(user: string): void
}

/** A SASL mechanism. It keeps no state of a session: one object serves all. [RFC 4422] */
export interface Mechanism {
  /** Its name in EHLO: capitals, digits, `-`, `_`. */
  readonly name: string
  /**
   * Runs one exchange. Rejects with an {@link SmtpError} `501 5.5.2` if a message of the client is malformed, and with
   * whatever `exchange` or a lookup rejects with. Returns null for wrong credentials: that counts as a guess.
   */
  authenticate(exchange: Exchange): Promise<AuthResult>
}

/** The refusal of a client that has shown no credentials: it does not count as a guess. */
export const NOTHING_SHOWN: Reply = reply(535, '5.7.8', 'Authentication failed')

/** The error for a malformed message; it contains nothing of the message. */
export function malformed(mechanism: string): SmtpError {
  return new SmtpError(reply(501, '5.5.2', `Malformed ${mechanism} response`))
}
