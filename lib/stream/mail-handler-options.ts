// What a MailHandler is made with.

import type { DuplexOptions } from 'node:stream'
import type { BareNewline } from '../protocol/mail-data/scanners.ts'
import type { Endpoint } from './peer.ts'

/** The options of every handler: those of a Duplex that fit it, and its own. */
export interface HandlerOptions extends Pick<
  DuplexOptions,
  'highWaterMark' | 'readableHighWaterMark' | 'writableHighWaterMark' | 'signal'
> {
  /**
   * The name of this host in the greeting.
   * @defaultValue the system's host name
   */
  readonly name?: string
  /** The file that `noteToLog` appends to. @defaultValue none */
  readonly logFile?: string
  /** The file that `noteToDebugLog` appends to; every reply is noted there. @defaultValue none */
  readonly debugLogFile?: string
  /** The client's address if no socket is piped in. */
  readonly client?: Partial<Endpoint>
  /**
   * What a bare LF in a command gets: `'reject'`, 500 and the end of the session; else it ends the command, and a CR
   * elsewhere is 500. [RFC 5321 §2.3.8]
   * @defaultValue `'reject'`
   */
  readonly bareNewline?: BareNewline
  readonly limits?: LineLimits
}

/** The octets of a command line that are taken, CRLF included, unless told. Postfix line_length_limit. */
export const COMMAND_LINE_OCTETS = 2048

/** Limits of MailHandler itself. */
export interface LineLimits {
  /**
   * Octets of a command line, CRLF included. [RFC 5321 §4.5.3.1.4: 512, and each extension adds]
   * @defaultValue 2,048
   */
  readonly commandLine?: number
  /**
   * Octets of an AUTH command, CRLF included. [RFC 4954 §4]
   * @defaultValue that of other commands
   */
  readonly authLine?: number
}
