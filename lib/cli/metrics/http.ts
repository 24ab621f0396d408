// /metrics, /healthz, /readyz: a small HTTP server beside the mail's.

import { createServer, type Server, type ServerResponse } from 'node:http'

/** What the server tells. */
export interface MetricsSource {
  /** The metrics as text, and its media type. */
  read(): Promise<{ readonly text: string; readonly type: string }>
  /** True while mail is taken. */
  ready(): boolean
}

const PLAIN = 'text/plain; charset=utf-8'

/** Makes the server; it is not listening yet. */
export function metricsServer(source: MetricsSource): Server {
  const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000, maxHeaderSize: 8192 }
  const server = createServer(limits, (request, response) => {
    request.resume()
    const [path] = (request.url ?? '').split('?')
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'GET only\n')
    if (path === '/healthz') return answer(response, 200, 'ok\n')
    if (path === '/readyz')
      return source.ready() ? answer(response, 200, 'ready\n') : answer(response, 503, 'not ready\n')
    if (path !== '/metrics') return answer(response, 404, 'there are /metrics, /healthz and /readyz\n')
    source.read().then(
      ({ text, type }) => answer(response, 200, text, type),
      () => answer(response, 500, 'the metrics cannot be read\n'),
    )
  })
  server.maxConnections = 100
  return server
}

function answer(response: ServerResponse, status: number, text: string, type: string = PLAIN): void {
  response.writeHead(status, { 'content-type': type }).end(text)
}
