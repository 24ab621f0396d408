// A small web server for pages about this process: bounded, guarded, with streams of events.
//
//   request ─→ path and route ─→ Host, origin, token (access.ts) ─→ handle ─→ WebAnswer ─→ security headers ─→ response
//                                                                       └─ EventStreams.answer() ─→ server-sent events

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable, pipeline } from 'node:stream'
import { warn } from '../log/warn.ts'
import type { Clock } from '../time/clock.ts'
import { refusal, type Access } from './access.ts'
import { PLAIN, SECURITY_HEADERS, type WebAnswer } from './answer.ts'
import { boundConnections } from './connections.ts'
import { EventStreams } from './event-streams.ts'
import { readBody } from './request-body.ts'
import { findRoute, type Route } from './routes.ts'

/** Milliseconds; a browser, a probe or a Prometheus sends its request at once. */
const TIME_LIMITS = {
  headersTimeout: 2000,
  requestTimeout: 4000,
  keepAliveTimeout: 2000,
  connectionsCheckingInterval: 500,
} as const
/** Milliseconds until a client that does not read its response is cut. */
const IDLE = 5000
/** Milliseconds that responses under way have when the server closes. */
const GRACE = 250

/** Options of {@link createWeb}. */
export interface WebOptions extends Partial<Access> {
  /** The first one for a method and a path answers. */
  readonly routes: readonly Route[]
  /** What a path without a route gets, with 404. */
  readonly notFound?: string
  /**
   * True if the server's own refusals are JSON, `{ "error": … }`, for programs; a browser that asks for a page gets text.
   *
   * @defaultValue false
   */
  readonly jsonErrors?: boolean
  /** The clock of the streams; tests pass one. */
  readonly clock?: Clock
}

/** A web server. */
export interface Web {
  /** The caller has it listen. */
  readonly server: Server
  /** The pages that listen to events; a route returns `streams.answer()`. */
  readonly streams: EventStreams
  /** Stops it: streams end, responses under way have a quarter of a second. Resolves when no connection is left. */
  close(): Promise<void>
}

/** Makes a web server of routes. A token is asked for only if there is one: beyond the loopback, have one. */
export function createWeb(options: WebOptions): Web {
  const { routes, hosts = [], token = null, notFound = 'not found\n', jsonErrors = false, clock } = options
  const streams = new EventStreams(clock)
  const answering = async (method: string, url: string, request: IncomingMessage): Promise<WebAnswer> => {
    const { headers } = request
    const [path = '', query] = url.split('?')
    const found = path.startsWith('/') ? findRoute(routes, method, path) : null
    const isOpen = found !== null && 'route' in found && found.route.open === true
    const refused = isOpen ? null : refusal({ method, url, headers }, { hosts, token })
    if (refused !== null) return refused
    if (found === null) return { status: 404, body: notFound }
    if ('allow' in found) {
      return { status: 405, headers: { allow: found.allow.join(', ') }, body: `${found.allow.join(', ')} only\n` }
    }
    const { route, params } = found
    const body = await readBody(request, route.takes ?? 0)
    if (body === null)
      return { status: 413, headers: { connection: 'close' }, body: `no more than ${route.takes} octets\n` }
    return route.handle({ method, path, params, query: new URLSearchParams(query), headers, body })
  }
  const server = createServer(TIME_LIMITS, (request, response) => {
    const { method = 'GET', url = '/', socket } = request
    socket.setTimeout(0) // It waits for this program.
    void answering(method, url, request)
      .catch((error: unknown): WebAnswer => {
        warn(error)
        return { status: 500, body: 'an error of this program: its log says more\n' }
      })
      .then(answer => {
        socket.setTimeout(IDLE)
        const isForProgram = jsonErrors && request.headers.accept?.includes('text/html') !== true
        send(response, isForProgram ? withJsonError(answer) : answer, method === 'HEAD')
      })
  })
  server.setTimeout(IDLE)
  boundConnections(server)
  return { server, streams, close: () => close(server, streams) }
}

/** A refusal in plain text, as JSON. */
function withJsonError(answer: WebAnswer): WebAnswer {
  const { status = 200, type = PLAIN, body } = answer
  if (status < 400 || type !== PLAIN || typeof body !== 'string') return answer
  return { ...answer, type: 'application/json', body: JSON.stringify({ error: body.trim() }) }
}

function send(
  response: ServerResponse,
  { status = 200, type = PLAIN, headers, body, take }: WebAnswer,
  isHead: boolean,
) {
  response.writeHead(status, { ...SECURITY_HEADERS, 'content-type': type, ...headers })
  if (isHead) {
    if (body instanceof Readable) body.destroy()
    response.end()
  } else if (take !== undefined) take(response)
  else if (body instanceof Readable) pipeline(body, response, () => {}) // An error cuts the response.
  else response.end(body)
}

function close(server: Server, streams: EventStreams): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(() => server.closeAllConnections(), GRACE)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    streams.close()
    server.closeIdleConnections()
  })
}
