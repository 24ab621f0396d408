// /metrics, /healthz, /readyz: a small HTTP server. No client can keep it from answering others: the number of connections
// is bounded, and a new connection replaces the oldest one without a request.

import { createServer, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { MetricsText } from './metrics-text.ts'

/** What the server answers with. */
export interface MetricsSource {
  /** Returns the metrics as text: OpenMetrics if `isOpenMetrics` is true, else Prometheus text. */
  read(isOpenMetrics: boolean): Promise<MetricsText>
  /** Returns why mail is not accepted now, or null. Never rejects. */
  whyNotReady(): Promise<string | null>
}

const PLAIN = 'text/plain; charset=utf-8'
/** What a Prometheus that reads exemplars accepts. */
const OPEN_METRICS = /\bapplication\/openmetrics-text\b/i
const MAX_CONNECTIONS = 100
/** Milliseconds; a probe or a Prometheus on the same network sends its request at once. */
const TIME_LIMITS = {
  headersTimeout: 2000,
  requestTimeout: 4000,
  keepAliveTimeout: 2000,
  connectionsCheckingInterval: 500,
} as const
/** Milliseconds until a client that does not read its response is cut. */
const IDLE = 5000

/** Makes the server; the caller has it listen. */
export function metricsServer(source: MetricsSource): Server {
  const readPrometheus = shared(() => source.read(false))
  const readOpenMetrics = shared(() => source.read(true))
  const server = createServer({ ...TIME_LIMITS, maxHeaderSize: 8192 }, (request, response) => {
    request.resume()
    const [path] = (request.url ?? '').split('?')
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'GET only\n')
    if (path === '/healthz') return answer(response, 200, 'ok\n')
    if (path === '/readyz') {
      void source.whyNotReady().then(why => {
        if (why === null) answer(response, 200, 'ready\n')
        else answer(response, 503, `not ready: ${why}\n`)
      })
      return
    }
    if (path !== '/metrics') return answer(response, 404, 'there are /metrics, /healthz and /readyz\n')
    const read = OPEN_METRICS.test(request.headers.accept ?? '') ? readOpenMetrics : readPrometheus
    read().then(
      ({ text, type }) => answer(response, 200, text, type),
      () => answer(response, 500, 'the metrics cannot be read\n'),
    )
  })
  server.setTimeout(IDLE)
  boundConnections(server)
  return server
}

/** Stops the server, whatever its clients do. */
export function closeMetricsServer(server: Server): void {
  server.close()
  server.closeAllConnections()
}

/** Destroys a connection for each one above the limit: the oldest without a request under way, else the oldest. */
function boundConnections(server: Server): void {
  /** Requests under way, by connection, the oldest connection first. */
  const requests = new Map<Socket, number>()
  server.on('connection', (socket: Socket) => {
    if (requests.size >= MAX_CONNECTIONS) oldest(requests)?.destroy()
    requests.set(socket, 0)
    socket.once('close', () => requests.delete(socket))
  })
  server.on('request', ({ socket }, response) => {
    requests.set(socket, (requests.get(socket) ?? 0) + 1)
    response.once('close', () => {
      const count = requests.get(socket)
      if (count !== undefined) requests.set(socket, count - 1)
    })
  })
}

function oldest(requests: ReadonlyMap<Socket, number>): Socket | undefined {
  for (const [socket, count] of requests) if (count === 0 && !socket.destroyed) return socket
  return [...requests.keys()].find(socket => !socket.destroyed)
}

/** Returns a function that starts `work`, or waits for the call that is under way. */
function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return () => {
    running ??= work().finally(() => (running = null))
    return running
  }
}

function answer(response: ServerResponse, status: number, text: string, type: string = PLAIN): void {
  response.writeHead(status, { 'content-type': type }).end(text)
}
