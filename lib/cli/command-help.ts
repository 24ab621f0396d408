// What there is to tell of a command, and that of `init` and `catch`.

import type { KeyPath } from './config/locate.ts'

/** An option of a command. */
export interface Option {
  readonly takes?: string
  readonly short?: string
  readonly several?: boolean
  readonly help: string
  /** What other programs call it; the error for such an option names this one. */
  readonly also?: readonly string[]
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

/** Of `mailhandler catch`. */
export const CATCH_HELP: CommandHelp = {
  summary: 'catch mail for tests: SMTP on 1025, a page on 8025, nothing leaves',
  text: 'Takes every message, with any password, and shows it on a page with the dialogue of its session. The page can have\nthe server misbehave. It needs the package postal-mime: npm install postal-mime@4. If the page is not on the loopback,\nits address has a token. docs/catch.md tells more.',
  options: {
    listen: {
      takes: 'HOST:PORT',
      short: 'l',
      help: 'take mail here (default 127.0.0.1:1025)',
      also: ['port', 'smtp', 'smtp-port', 'smtp-host', 'smtp-bind-addr', 'ip'],
    },
    page: {
      takes: 'HOST:PORT',
      short: 'p',
      help: 'show it here (default 127.0.0.1:8025)',
      also: [
        'web',
        'web-port',
        'web-ip',
        'http',
        'http-port',
        'ui',
        'ui-port',
        'ui-bind-addr',
        'api-port',
        'api-bind-addr',
      ],
    },
    folder: { takes: 'DIR', short: 'f', help: 'keep messages in this folder (default: in memory)' },
    messages: { takes: 'N', help: 'keep the last N messages (default 10000)' },
    size: { takes: 'SIZE', help: 'keep at most this many octets of messages: 100MiB (default 256MiB)' },
    rules: { takes: 'FILE', help: 'misbehave by these rules, in JSON' },
    cert: { takes: 'FILE', help: 'offer STARTTLS with this certificate, in PEM' },
    key: { takes: 'FILE', help: 'its private key' },
    host: { takes: 'NAME', several: true, help: 'a host name by which browsers may open the page' },
    help: HELP,
  },
}
