// Metrics of upstreams. The labels are addresses of the configuration, never words from the wire.

import { Counter, Gauge, Histogram, type OpenMetricsContentType, type Registry } from 'prom-client'
import { upstreamChannel, type UpstreamEvent } from '../../deliveries/relay/diagnostics.ts'
import type { UpstreamStats } from '../../deliveries/relay/upstream.ts'
import { subscribe, type Unsubscribe } from '../subscriptions.ts'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600]

/** Counts what upstreams answer. `stats` gives their counts of that time. */
export function countUpstreams(
  registers: Registry<OpenMetricsContentType>[],
  stats: () => readonly UpstreamStats[],
): Unsubscribe[] {
  gauges(registers, stats)
  const opened = new Counter({
    name: 'mailhandler_upstream_connections_total',
    help: 'Connections to an upstream, by its address and result: open, or failed.',
    labelNames: ['upstream', 'result'],
    registers,
  })
  const replies = new Counter({
    name: 'mailhandler_upstream_replies_total',
    help: 'Replies of an upstream, by its address, the command (end: to the mail data) and the first digit of the code.',
    labelNames: ['upstream', 'step', 'class'],
    registers,
  })
  const seconds = new Histogram({
    name: 'mailhandler_upstream_duration_seconds',
    help: 'How long an upstream took, by its address and the command; open: until its session was open.',
    labelNames: ['upstream', 'step'],
    buckets: SECONDS,
    registers,
  })
  return [
    subscribe(upstreamChannel, ({ upstream, step, reply, error, milliseconds }: UpstreamEvent) => {
      seconds.observe({ upstream, step }, milliseconds / 1000)
      if (step === 'open') opened.inc({ upstream, result: error === null ? 'open' : 'failed' })
      if (reply !== null) replies.inc({ upstream, step, class: `${Math.floor(reply.code / 100)}xx` })
    }),
  ]
}

function gauges(registers: Registry<OpenMetricsContentType>[], stats: () => readonly UpstreamStats[]): void {
  const ofEach = (name: string, help: string, count: (upstream: UpstreamStats) => number): void => {
    void new Gauge({
      name,
      help,
      labelNames: ['upstream'],
      registers,
      collect() {
        this.reset()
        for (const upstream of stats()) this.set({ upstream: upstream.servers.join(' ') }, count(upstream))
      },
    })
  }
  ofEach('mailhandler_upstream_connections', 'Connections to an upstream at the moment.', each => each.connections)
  ofEach('mailhandler_upstream_connections_kept', 'Those that are kept for the next client.', each => each.kept)
  ofEach('mailhandler_upstream_waiting', 'Clients that wait for a connection.', each => each.waiting)
  void new Gauge({
    name: 'mailhandler_upstream_circuit_open',
    help: 'Processes that leave a server of an upstream alone for now, because it has failed.',
    labelNames: ['upstream'],
    registers,
    collect() {
      this.reset()
      for (const { servers, failing } of stats()) {
        for (const server of servers) this.set({ upstream: server }, failing.includes(server) ? 1 : 0)
      }
    },
  })
}
