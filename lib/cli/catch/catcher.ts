// Catches mail and shows it: the SMTP server, the messages, the page.
//
//   SMTP ─ CatchingServer ─ MailStore ─┬─ apiRoutes, Mailpit's, maildev's ─ the page
//                                      └─ EventStreams ─────────────────────┘

import { randomBytes } from 'node:crypto'
import { CatchingServer } from '../../testing/catch/catching-server.ts'
import type { ParseMail } from '../../testing/catch/parsed-mail.ts'
import { createWeb, type Web } from '../../web/web-server.ts'
import { isLoopback } from '../config/units.ts'
import { listen } from '../listening.ts'
import type { CatchSettings } from './catch-options.ts'
import { listed, sessionView } from './entry.ts'
import { MailFiles } from './mail-files.ts'
import { MailStore } from './mail-store.ts'
import { maildevRoutes } from './maildev-api.ts'
import { mailpitRoutes } from './mailpit-api.ts'
import { pageRoutes } from './page.ts'
import { apiRoutes } from './routes.ts'

/** What runs. */
export interface Catcher {
  /** Where mail is taken: `127.0.0.1:1025`. */
  readonly smtp: string
  /** The address of the page, with a token if it needs one. */
  readonly page: string
  /** Ends every session and every page. */
  close(): Promise<void>
}

/** Sessions that are remembered; a message keeps its own session too. */
const SESSIONS = 200
/** So much of a dialogue is kept. */
const LOG_LIMITS = { turn: 4096, turns: 2000, octets: 262_144 }
const NOT_FOUND = 'there is no such path here; GET /openapi.json and docs/catch.md tell which there are\n'
/** Octets of one message. */
const MOST_OCTETS = 50 * 2 ** 20

/** Starts. Rejects with a ListenError, with an error of the folder, or with `ERR_OPTION` for a wrong certificate. */
export async function startCatcher(settings: CatchSettings, parse: ParseMail): Promise<Catcher> {
  const { folder, messages, octets, rules, tls, page, smtp, hosts } = settings
  const streams = () => web.streams
  const store = new MailStore({ messages, octets }, folder === null ? null : new MailFiles(folder), parse, {
    added: entry => streams().send({ event: 'mail', data: listed(entry) }),
    removed: ids => streams().send({ event: 'removed', data: { ids: ids.slice(0, 100), all: store.size === 0 } }),
  })
  const server = new CatchingServer(
    {
      auth: true,
      session: { size: Math.min(MOST_OCTETS, octets), ...(tls === null ? {} : { tls }) },
      logLimits: LOG_LIMITS,
      sessions: SESSIONS,
      take: caught => store.add(caught),
      grown: session => store.grown(session),
      note: session => streams().send({ event: 'session', data: sessionView(session) }),
    },
    rules.policy,
  )
  const api = { store, server, rules: { current: rules.rules }, streams }
  const routes = [...pageRoutes(), ...apiRoutes(api), ...mailpitRoutes(store), ...maildevRoutes(store)]
  const token = isLoopback(page) ? null : randomBytes(16).toString('hex')
  const web: Web = createWeb({ routes, hosts, token, jsonErrors: true, notFound: NOT_FOUND })
  const at = await listen(web.server, page, [])
  try {
    const smtpAt = await listen(server.server, smtp, [])
    let closed: Promise<unknown> | null = null
    return {
      smtp: smtpAt,
      page: `http://${at}/${token === null ? '' : `?token=${token}`}`,
      close: async () => {
        closed ??= Promise.all([server.close(), web.close()])
        await closed
      },
    }
  } catch (error) {
    await web.close()
    throw error
  }
}
