// What there is to tell of a command, and that of `init`.

import type { KeyPath } from './config/locate.ts'

/** An option of a command. */
export interface Option {
  readonly takes?: string
  readonly short?: string
  readonly several?: boolean
  readonly help: string
  /** The key of the configuration that the option sets, and the function that makes its value of the words. */
  readonly key?: KeyPath
  readonly read?: (words: readonly string[]) => unknown
}

/** What there is to tell of a command. */
export interface CommandHelp {
  readonly summary: string
  readonly text: string
  readonly options: Readonly<Record<string, Option>>
}

export const HELP: Option = { short: 'h', help: 'show this help' }

/** Of `mailhandler init`. */
export const INIT_HELP: CommandHelp = {
  summary: 'write a configuration',
  text: 'mailhandler init [FILE] asks for the domains, for where mail goes, for the address to listen at and for certificates, and\nwrites FILE (default mailhandler.toml) if all of that is good. It never overwrites a file. What an option says is not\nasked; without a terminal nothing is, and the defaults apply.',
  options: {
    domain: {
      takes: 'DOMAIN',
      short: 'd',
      several: true,
      help: 'accept mail for this domain; may be given several times',
    },
    to: {
      takes: 'WHERE',
      help: 'a Maildir, a path with {local}, the host:port of a mail server, or the https address of a service (default Maildir)',
    },
    listen: { takes: 'HOST:PORT', short: 'l', help: 'listen here (default 127.0.0.1:2525)' },
    tls: { takes: 'CERT,KEY', help: 'the certificate and its key, as files in PEM (default: no TLS)' },
    help: HELP,
  },
}
