// What a MailHandler is made with.

import type { DuplexOptions } from 'node:stream'
import type { Overridable } from './handlers.ts'
import type { MailHandler } from './mail-handler.ts'
import type { Endpoint } from './peer.ts'

/** The methods that may be given as options instead of in a subclass. */
export type MailHandlerMethods = {
  [Name in Overridable]?: (
    this: MailHandler,
    ...parameters: Parameters<MailHandler[Name]>
  ) => ReturnType<MailHandler[Name]>
}

/** Options of a {@link MailHandler}: those of a Duplex that fit it, its own, and any of its handleXxx methods. */
export interface MailHandlerOptions
  extends
    Pick<DuplexOptions, 'highWaterMark' | 'readableHighWaterMark' | 'writableHighWaterMark' | 'signal'>,
    MailHandlerMethods {
  /** The name this host goes by in the greeting. Default: the host's name. */
  readonly name?: string
  /** File that `noteToLog` appends to. Default: none. */
  readonly logFile?: string
  /** File that `noteToDebugLog` appends to; every reply is noted there. Default: none. */
  readonly debugLogFile?: string
  /** The client's address where no socket is piped in. */
  readonly client?: Partial<Endpoint>
  readonly limits?: LineLimits
}

/** Limits of MailHandler itself. */
export interface LineLimits {
  /** Octets of a command line, CRLF included. Default 2,048; RFC 5321 §4.5.3.1.4 says 512, each extension adds. */
  readonly commandLine?: number
}
