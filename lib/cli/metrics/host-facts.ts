// Facts about this process as metrics: what it is built of, and when its certificates expire.

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Gauge, type OpenMetricsContentType, type Registry } from 'prom-client'
import type { Config } from '../config/config.ts'
import { version } from '../version.ts'

/** Adds the metrics; `current` gives the configuration at that time. */
export function showFacts(registry: Registry<OpenMetricsContentType>, current: () => Pick<Config, 'tls'>): void {
  const build = new Gauge({
    name: 'mailhandler_build_info',
    help: 'Always 1; the labels are the versions.',
    labelNames: ['version', 'node'],
    registers: [registry],
    aggregator: 'first',
  })
  build.set({ version: version(), node: process.version }, 1)
  // Read once for a configuration: the server uses them as they were then, too.
  let seen: Config['tls']
  let expiries: readonly (readonly [file: string, at: number])[] = []
  const expiry = new Gauge({
    name: 'mailhandler_tls_certificate_expiry_seconds',
    help: 'When each certificate of the configuration expires, in seconds since 1970.',
    labelNames: ['file'],
    registers: [],
    aggregator: 'min',
    collect() {
      const { tls } = current()
      if (tls !== seen) expiries = certificatesOf(tls).flatMap(expiryOf)
      seen = tls
      this.reset()
      for (const [file, at] of expiries) this.set({ file }, at / 1000)
    },
  })
  registry.registerMetric(expiry)
}

function certificatesOf(tls: Config['tls']): readonly string[] {
  return tls === undefined ? [] : [tls.cert, ...tls.names.map(({ cert }) => cert)]
}

/** Returns the file and milliseconds since 1970; nothing for a file that cannot be read. */
function expiryOf(file: string): [file: string, at: number][] {
  try {
    return [[file, Date.parse(new X509Certificate(readFileSync(file)).validTo)]]
  } catch {
    return []
  }
}
