// /metrics, /healthz, /readyz: the routes of the metrics address.

import type { WebAnswer } from '../../web/answer.ts'
import type { Route } from '../../web/routes.ts'
import type { Access } from '../../web/access.ts'
import type { EventStreams } from '../../web/event-streams.ts'
import { createWeb, type Web } from '../../web/web-server.ts'
import type { MetricsText } from './metrics-text.ts'

/** What the server answers with. */
export interface MetricsSource {
  /** Returns the metrics as text: OpenMetrics if `isOpenMetrics` is true, else Prometheus text. */
  read(isOpenMetrics: boolean): Promise<MetricsText>
  /** Returns why mail is not accepted now, or null. Never rejects. */
  whyNotReady(): Promise<string | null>
}

/** What a Prometheus that reads exemplars accepts. */
const OPEN_METRICS = /\bapplication\/openmetrics-text\b/i

/** Other routes of the server, and who may ask for them. */
export interface MorePages extends Access {
  readonly routes: readonly Route[]
  /** Called with the streams of the server. */
  sendTo(streams: EventStreams): void
}

/** Makes the server; the caller has it listen. */
export function metricsServer(source: MetricsSource, more: MorePages | null = null): Web {
  const { routes = [], hosts = [], token = null } = more ?? {}
  const own = metricsRoutes(source)
  const paths = [...own, ...routes].map(({ path }) => path)
  const notFound = `there are ${paths.slice(0, -1).join(', ')} and ${paths.at(-1)}\n`
  const web = createWeb({ notFound, hosts, token, routes: [...own, ...routes] })
  more?.sendTo(web.streams)
  return web
}

/** They are open: a probe asks by whatever name and address it has. */
function metricsRoutes(source: MetricsSource): Route[] {
  const readPrometheus = shared(() => source.read(false))
  const readOpenMetrics = shared(() => source.read(true))
  const metrics = async (accept: string): Promise<WebAnswer> => {
    try {
      const { text, type } = await (OPEN_METRICS.test(accept) ? readOpenMetrics() : readPrometheus())
      return { type, body: text }
    } catch {
      return { status: 500, body: 'the metrics cannot be read\n' }
    }
  }
  const ready = async (): Promise<WebAnswer> => {
    const why = await source.whyNotReady()
    return why === null ? { body: 'ready\n' } : { status: 503, body: `not ready: ${why}\n` }
  }
  return [
    { path: '/metrics', open: true, handle: ({ headers }) => metrics(headers.accept ?? '') },
    { path: '/healthz', open: true, handle: () => ({ body: 'ok\n' }) },
    { path: '/readyz', open: true, handle: ready },
  ]
}

/** Returns a function that starts `work`, or waits for the call that is under way. */
function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return () => {
    running ??= work().finally(() => (running = null))
    return running
  }
}
