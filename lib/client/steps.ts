// What a client does, step by step: which replies are positive, what waits for them, and for how long.

import type { ClientTimeouts } from './timeouts.ts'

/** One kind of command, or of reply that is waited for. */
export interface Step {
  /** The codes of positive replies. Other codes of 2yz and 3yz are unexpected; 4yz and 5yz are refusals. */
  readonly accepts: readonly number[]
  readonly timeout: keyof ClientTimeouts
  /** Nothing may be sent behind it before its reply. [RFC 2920 §3.1] */
  readonly endsGroup: boolean
}

/** A step that has a reply, by its verb; the steps `greeting` and `end` (of mail data) have no verb. */
export type ReplyStep =
  | 'greeting'
  | 'EHLO'
  | 'LHLO'
  | 'HELO'
  | 'STARTTLS'
  | 'XCLIENT'
  | 'AUTH'
  | 'XFORWARD'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'BDAT'
  | 'end'
  | 'RSET'
  | 'NOOP'
  | 'VRFY'
  | 'QUIT'

/** The steps that have a reply. */
export const STEPS: Readonly<Record<ReplyStep, Step>> = {
  greeting: { accepts: [220], timeout: 'greeting', endsGroup: true },
  EHLO: { accepts: [250], timeout: 'command', endsGroup: true },
  LHLO: { accepts: [250], timeout: 'command', endsGroup: true },
  HELO: { accepts: [250], timeout: 'command', endsGroup: true },
  STARTTLS: { accepts: [220], timeout: 'command', endsGroup: true },
  XCLIENT: { accepts: [220], timeout: 'greeting', endsGroup: true },
  AUTH: { accepts: [235, 334], timeout: 'command', endsGroup: true },
  XFORWARD: { accepts: [250], timeout: 'command', endsGroup: false },
  MAIL: { accepts: [250], timeout: 'command', endsGroup: false },
  RCPT: { accepts: [250, 251], timeout: 'command', endsGroup: false },
  DATA: { accepts: [354], timeout: 'data', endsGroup: true },
  BDAT: { accepts: [250], timeout: 'end', endsGroup: false },
  end: { accepts: [250], timeout: 'end', endsGroup: false },
  RSET: { accepts: [250], timeout: 'command', endsGroup: false },
  NOOP: { accepts: [250], timeout: 'command', endsGroup: true },
  VRFY: { accepts: [250, 251, 252], timeout: 'command', endsGroup: true },
  QUIT: { accepts: [221], timeout: 'quit', endsGroup: true },
}

/**
 * What a client is doing: a verb, or `greeting`, `TLS` (the handshake), `data` (sending mail data), `end` (waiting for
 * the reply to mail data), `idle` (no command waits for a reply).
 */
export type ClientStep = ReplyStep | 'TLS' | 'data' | 'idle'
