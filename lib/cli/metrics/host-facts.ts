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
  const expiry = new Gauge({
    name: 'mailhandler_tls_certificate_expiry_seconds',
    help: 'When each certificate of the configuration expires, in seconds since 1970.',
    labelNames: ['file'],
    registers: [],
    aggregator: 'min',
    collect() {
      this.reset()
      for (const file of certificatesOf(current())) {
        const at = expiryOf(file)
        if (at !== null) this.set({ file }, at / 1000)
      }
    },
  })
  registry.registerMetric(expiry)
}

function certificatesOf({ tls }: Pick<Config, 'tls'>): readonly string[] {
  return tls === undefined ? [] : [tls.cert, ...tls.names.map(({ cert }) => cert)]
}

/** Returns milliseconds since 1970; null for a file that cannot be read. */
function expiryOf(file: string): number | null {
  try {
    return Date.parse(new X509Certificate(readFileSync(file)).validTo)
  } catch {
    return null
  }
}
