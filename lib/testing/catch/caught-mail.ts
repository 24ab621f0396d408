// A message that `catchMail()` has caught.

import type { CaughtSession } from './caught-session.ts'
import type { ParsedMail } from './parsed-mail.ts'

/** The addresses that MAIL and RCPT gave. */
export interface CaughtEnvelope {
  /** The sender; empty for the null reverse-path. */
  readonly from: string
  /** The accepted recipients, in their order: those of Bcc too. */
  readonly to: readonly string[]
}

/** A message: its envelope, its octets, and its parts. */
export interface CaughtMail extends ParsedMail {
  /** Unique. */
  readonly id: string
  /** When its last octet had come. */
  readonly receivedAt: Date
  /** What MAIL and RCPT said. */
  readonly envelope: CaughtEnvelope
  /** The octets as the program sent them, without dot-stuffing. */
  readonly raw: Buffer
  /** The session that it came by, with its dialogue. */
  readonly session: CaughtSession
  /** Returns the value of the first field with a name, whatever its case; null without one. */
  header(name: string): string | null
}
