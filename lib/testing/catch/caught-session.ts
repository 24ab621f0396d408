// A session of the server that catches mail: who the client was, and everything that both sides said.

import type { SessionEnding } from '../../smtp/session.ts'

/** A session of a client, under way or over. */
export interface CaughtSession {
  /** Unique. */
  readonly id: string
  /** When it began. */
  readonly startedAt: Date
  /** The client's address; null if it is not known. */
  readonly address: string | null
  /** The client's port; null if it is not known. */
  readonly port: number | null
  /** The name that HELO or EHLO gave; null before. */
  readonly helo: string | null
  /** `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPSA` … [RFC 3848] */
  readonly protocol: string
  /** The user who has authenticated, or null. */
  readonly user: string | null
  /** How the session ended; null while it goes on. */
  readonly ending: SessionEnding | null
  /** What both sides said, as `C:` and `S:` lines. Secrets of AUTH are left out; long turns are abridged. */
  readonly dialogue: string
}
