// A configuration that was read and checked. Keys are those of the file in camelCase; durations are milliseconds, sizes
// octets, paths absolute. An absent value means the default of the part that it configures.

import type { GuessOptions } from '../../smtp/auth/auth-guard.ts'
import type { ExtensionName } from '../../smtp/extensions.ts'
import type { Limits, Timeouts } from '../../smtp/limits.ts'
import type { SmtpHandlerOptions } from '../../smtp/options.ts'
import type { DeliveryConfig, ModuleConfig } from './delivery.ts'
import type { GreylistConfig, SuspicionConfig } from './greylisting.ts'
import type { ListsConfig } from './lists.ts'
import type { RatesConfig } from './rates.ts'
import type { StatusConfig } from './status.ts'
import type { ListenAddress } from './units.ts'
import type { MainUpstreamConfig, RouteConfig, VerifyConfig } from './upstream.ts'

/** A listener: `[[listen]]`. */
export interface Listener {
  readonly address: ListenAddress
  readonly protocol: 'smtp' | 'lmtp'
  /** `starttls` offers STARTTLS if certificates are configured. */
  readonly tls: 'starttls' | 'implicit' | 'off'
  /** Networks of proxies that begin each connection with a PROXY header. */
  readonly proxy?: readonly string[]
}

/** A certificate with its key, as files. */
export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

/** Logs: `[log]`. */
export interface LogConfig {
  /** Default: standard error. */
  readonly file?: string
  readonly level: LogLevel
  /** Default: `text` on a terminal, else `json`. */
  readonly format?: 'json' | 'text' | 'kamaelia'
  /** Every command and reply, line by line. */
  readonly debugFile?: string
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

type HandlerKeys =
  | 'name'
  | 'banner'
  | 'size'
  | 'oversize'
  | 'strictness'
  | 'bareNewline'
  | 'unlawfulPipelining'
  | 'earlyTalkers'
  | 'minDataRate'
  | 'xclient'

/** A whole configuration. */
export interface Config extends Pick<SmtpHandlerOptions, HandlerKeys> {
  readonly listen: readonly Listener[]
  /** Where messages go if there is no upstream. */
  readonly maildir: string
  /** Where messages go in the place of `maildir`. */
  readonly delivery?: DeliveryConfig
  /** Policies of one's own. */
  readonly policy?: readonly ModuleConfig[]
  /** Where messages are passed on to. */
  readonly upstream?: MainUpstreamConfig
  /** Where messages for some recipients are passed on to. */
  readonly routes?: readonly RouteConfig[]
  readonly verifyRecipients?: VerifyConfig
  /** The SQLite file in which workers remember which recipients of an LMTP upstream have a message, without [greylist]. */
  readonly verdicts: string
  readonly workers: number
  readonly user?: string
  readonly group?: string
  readonly shutdownTimeout: number
  readonly maxConnections?: number
  readonly perClient: {
    readonly connections?: number
    readonly perMinute?: number
    readonly except?: readonly string[]
  }
  readonly recipients: { readonly domains?: readonly string[] }
  readonly lists: ListsConfig
  readonly rates: RatesConfig
  /** Without it there is no greylisting. */
  readonly greylist?: GreylistConfig
  readonly suspicion: SuspicionConfig
  readonly tls?: CertificateFiles & {
    readonly required: boolean
    readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
    /** In the syntax of OpenSSL. */
    readonly ciphers?: string
    readonly names: readonly (CertificateFiles & { readonly names: readonly string[] })[]
  }
  readonly auth?: {
    readonly users: string
    readonly required: boolean
    readonly insecure: boolean
    readonly guesses: GuessOptions
  }
  readonly extensions: Readonly<Partial<Record<ExtensionName, boolean>>>
  readonly limits: Readonly<Partial<Limits>>
  readonly timeouts: Readonly<Partial<Timeouts>> & { readonly proxyHeader?: number }
  readonly log: LogConfig
  readonly metrics: { readonly listen?: ListenAddress }
  /** Without it there is no status page. */
  readonly status?: StatusConfig
}
