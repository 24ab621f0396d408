// The options of a webhook, checked once.

import {
  Agent as HttpAgent,
  validateHeaderName,
  validateHeaderValue,
  type AgentOptions as HttpAgentOptions,
} from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import type { HeaderFields } from '../../protocol/header/header-field.ts'
import type { Session } from '../../smtp/session.ts'
import { systemClock, type Clock } from '../../time/clock.ts'
import { checkPem } from '../../tls/tls-options.ts'
import { checkClock, checkFunction, checkKeys, numbers, show, wrong } from '../../words/option-checks.ts'

/** Time limits of a {@link webhook}, in milliseconds. After each the sender is told 451. */
export interface WebhookTimeouts {
  /** For a connection, TLS included. @defaultValue 10,000 */
  readonly connect: number
  /** For the service to take what waits for it, 64 KiB and one chunk at the most. @defaultValue 60,000 */
  readonly silence: number
  /** From the last octet to the status of the answer; below `timeouts.verdict` of the handler. @defaultValue 120,000 */
  readonly answer: number
}

/** Options of {@link webhook}. */
export interface WebhookOptions {
  /** Where to POST messages: `https:`, or `http:`. User and password belong into `headers`. */
  readonly url: string | URL
  /**
   * How the envelope is sent. `'multipart'`: a form with the parts `envelope`, `message` and `digest`. `'raw'`: the body
   * is the message alone, the envelope is the header `mailhandler-envelope`, and the digest is in trailers.
   * @defaultValue `'multipart'`
   */
  readonly form?: 'multipart' | 'raw'
  /** The key of the signature, HMAC-SHA-256 over envelope, message and key. @defaultValue none: no signature */
  readonly secret?: string
  /** Headers of each request, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Fields to put in front of each message, such as Received. By default a message is sent octet for octet. */
  readonly header?: (session: Session) => HeaderFields
  /** Options of TLS: `ca`, `cert`, `key`, `servername` … */
  readonly tls?: Readonly<ConnectionOptions>
  /**
   * The connections.
   * @defaultValue an agent that keeps up to 10 idle connections for 4 seconds
   */
  readonly agent?: HttpAgent
  /** Time limits. */
  readonly timeouts?: Readonly<Partial<WebhookTimeouts>>
  /** The time. @defaultValue that of the system */
  readonly clock?: Clock
}

/** The defaults of {@link WebhookTimeouts}. */
export const WEBHOOK_TIMEOUTS: WebhookTimeouts = Object.freeze({ connect: 10_000, silence: 60_000, answer: 120_000 })

/** Options with their defaults. */
export interface ResolvedWebhook {
  readonly url: URL
  readonly form: 'multipart' | 'raw'
  readonly secret: string | null
  readonly headers: Readonly<Record<string, string>>
  readonly header: ((session: Session) => HeaderFields) | null
  readonly tls: Readonly<ConnectionOptions>
  readonly agent: HttpAgent
  readonly timeouts: WebhookTimeouts
  readonly clock: Clock
}

/** Milliseconds; most services close idle connections later, so that a request seldom meets a closing one. */
const IDLE = 4000
const KEPT = 10
const KEYS = ['url', 'form', 'secret', 'headers', 'header', 'tls', 'agent', 'timeouts', 'clock']
/** Headers that say how the body is framed. */
const OWN_HEADERS = /^(?:connection|content-.*|expect|host|mailhandler-.*|te|trailer|transfer-encoding|upgrade)$/i

/** Checks the options. Throws `ERR_OPTION`. */
export function resolveWebhook(options: WebhookOptions): ResolvedWebhook {
  checkKeys('', options, KEYS)
  const { form = 'multipart', secret = null, headers = {}, header = null, tls = {}, clock = systemClock } = options
  const url = readUrl(options.url)
  if (form !== 'multipart' && form !== 'raw') throw wrong(`form is 'multipart' or 'raw', not ${show(form)}`)
  if (secret !== null && (typeof secret !== 'string' || secret === ''))
    throw wrong('secret is a text that is not empty')
  checkHeaders(headers)
  checkFunction('header', header ?? undefined)
  checkKeys('tls', tls, Object.keys(Object(tls) as object))
  if (options.agent !== undefined && options.tls !== undefined) throw wrong('tls is of our own agent: give it to yours')
  for (const name of ['ca', 'cert', 'key'] as const) checkPem(`tls.${name}`, tls[name])
  const agent = options.agent ?? makeAgent(url, tls)
  if (typeof (Object(agent) as { addRequest?: unknown }).addRequest !== 'function')
    throw wrong(`agent is an http.Agent, not ${show(agent)}`)
  const timeouts = numbers('timeouts', WEBHOOK_TIMEOUTS, options.timeouts ?? {})
  return Object.freeze({ url, form, secret, headers, header, tls, agent, timeouts, clock: checkClock(clock) })
}

function readUrl(given: unknown): URL {
  const url = given instanceof URL ? given : typeof given === 'string' && URL.canParse(given) ? new URL(given) : null
  if (url === null) throw wrong(`url is an address such as 'https://app.example/mail', not ${show(given)}`)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw wrong('url begins with https: or http:')
  // Logs show the url.
  if (url.username !== '' || url.password !== '') throw wrong('url has a user: give headers.authorization instead')
  return url
}

function checkHeaders(headers: Readonly<Record<string, string>>): void {
  checkKeys('headers', headers, Object.keys(Object(headers) as object))
  for (const [name, value] of Object.entries(headers)) {
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch {
      throw wrong(`headers: ${show(name)} has a name or a value that HTTP does not allow`)
    }
    if (OWN_HEADERS.test(name)) throw wrong(`headers: ${name} is set by the webhook`)
  }
}

function makeAgent({ protocol }: URL, tls: Readonly<ConnectionOptions>): HttpAgent {
  const options: HttpAgentOptions = { keepAlive: true, maxFreeSockets: KEPT, timeout: IDLE }
  return protocol === 'https:' ? new HttpsAgent({ ...options, ...(tls as object) }) : new HttpAgent(options)
}
