// Metrics as text. OpenMetrics has exemplars: the id of a message beside the count or the bucket that it is in.

import {
  Registry,
  type Metric,
  type MetricObjectWithValues,
  type MetricValue,
  type OpenMetricsContentType,
  type PrometheusContentType,
} from 'prom-client'

/** What a registry has: `getMetricsAsJSON()`. */
export type Snapshot = readonly MetricObjectWithValues<MetricValue<string>>[]

/** Metrics as text. */
export interface MetricsText {
  readonly text: string
  /** Its media type. */
  readonly type: string
}

interface Exemplar {
  readonly timestamp: number
}

type Value = MetricValue<string> & { readonly metricName?: string; exemplar?: Exemplar | null }

/**
 * Formats metrics: as Prometheus text, or as OpenMetrics. A registry of prom-client cannot do both, because it renames its
 * counters for good.
 */
export async function metricsText(snapshot: Snapshot, isOpenMetrics: boolean): Promise<MetricsText> {
  const registry = new Registry<OpenMetricsContentType | PrometheusContentType>()
  if (isOpenMetrics) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  const names = new Set(snapshot.map(({ name }) => name))
  for (const metric of snapshot) {
    const shown = isOpenMetrics && String(metric.type) === 'counter' ? openCounter(metric, names) : metric
    registry.registerMetric({ ...shown, get: () => Promise.resolve(shown) } as unknown as Metric)
  }
  return { text: await registry.metrics(), type: registry.contentType }
}

/** A counter for OpenMetrics, where its name is that of its samples without `_total`, which prom-client appends. */
function openCounter(metric: Snapshot[number], names: ReadonlySet<string>): object {
  const name = metric.name.replace(/_total$/, '')
  return names.has(name) ? { ...metric, type: 'unknown' } : { ...metric, name } // a gauge has that name already
}

/** Gives the values of `merged` the newest exemplars of `snapshots`: prom-client leaves them out when it adds up. */
export function addExemplars(merged: Snapshot, snapshots: readonly Snapshot[]): void {
  const newest = new Map<string, Exemplar>()
  for (const { name, values } of snapshots.flat()) {
    for (const value of values as Value[]) {
      const key = keyOf(name, value)
      const { exemplar } = value
      if (exemplar && exemplar.timestamp >= (newest.get(key)?.timestamp ?? 0)) newest.set(key, exemplar)
    }
  }
  for (const { name, values } of merged) {
    for (const value of values as Value[]) value.exemplar = newest.get(keyOf(name, value)) ?? null
  }
}

function keyOf(name: string, { metricName = name, labels }: Value): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${value}`)
  return `${metricName} ${pairs.toSorted().join(' ')}`
}
