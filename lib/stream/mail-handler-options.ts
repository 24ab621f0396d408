// What a MailHandler is made with.

import type { DuplexOptions } from 'node:stream'
import type { BareNewline } from '../protocol/mail-data/scanners.ts'
import { checkKeys, numbers, show, wrong } from '../words/option-checks.ts'
import { OVERRIDABLE } from './handlers.ts'
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
  /**
   * How long a line of the client may be, in octets; past it the client gets 500 5.5.2 and the rest of the line is
   * skipped.
   */
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

const KNOWN: readonly string[] = [
  'highWaterMark',
  'readableHighWaterMark',
  'writableHighWaterMark',
  'signal',
  'name',
  'logFile',
  'debugLogFile',
  'client',
  'bareNewline',
  'limits',
  ...OVERRIDABLE,
]

const BARE_NEWLINE: readonly unknown[] = ['reject', 'normalize', 'allow']

/** Those that a handler was made with before: one object serves a whole server. */
const checked = new WeakSet<object>()

/** Checks the options of a MailHandler; a subclass may have others of its own. Throws `ERR_OPTION`. */
export function checkHandlerOptions(options: HandlerOptions, isSubclass = false): void {
  if (checked.has(options)) return
  const own = Object.keys(Object(options) as object).filter(key => isSubclass && !/^(?:on|handle)[A-Z]/.test(key))
  checkKeys('', options, [...KNOWN, ...own], key =>
    /^on[A-Z]/.test(key) ? 'a hook is an option of SmtpHandler' : null,
  )
  const given = options as Readonly<Record<string, unknown>>
  for (const name of ['name', 'logFile', 'debugLogFile']) {
    if (given[name] !== undefined && typeof given[name] !== 'string') {
      throw wrong(`${name} is a text, not ${show(given[name])}`)
    }
  }
  for (const name of ['highWaterMark', 'readableHighWaterMark', 'writableHighWaterMark']) {
    const octets = given[name]
    if (octets !== undefined && !(Number.isInteger(octets) && (octets as number) >= 0)) {
      throw wrong(`${name} is a number of octets, not ${show(octets)}`)
    }
  }
  if (given['bareNewline'] !== undefined && !BARE_NEWLINE.includes(given['bareNewline'])) {
    throw wrong(`bareNewline is one of ${BARE_NEWLINE.join(', ')}, not ${show(given['bareNewline'])}`)
  }
  for (const name of OVERRIDABLE) {
    if (given[name] !== undefined && typeof given[name] !== 'function') {
      throw wrong(`${name} is a function, not ${show(given[name])}`)
    }
  }
  if (options.client !== undefined) checkClient(options.client)
  numbers('limits', { commandLine: COMMAND_LINE_OCTETS, authLine: COMMAND_LINE_OCTETS }, options.limits ?? {})
  checked.add(options)
}

function checkClient(client: Partial<Endpoint>): void {
  checkKeys('client', client, ['address', 'port'])
  const { address = null, port = null } = client
  if (address !== null && typeof address !== 'string')
    throw wrong(`client.address is a text or null, not ${show(address)}`)
  if (port !== null && typeof port !== 'number') throw wrong(`client.port is a number or null, not ${show(port)}`)
}
