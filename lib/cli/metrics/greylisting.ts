// What greylisting and suspicion decide → metrics. Values of labels come from fixed sets.

import { Counter, Histogram, type OpenMetricsContentType, type Registry } from 'prom-client'
import { storeFailureChannel, type StoreFailureEvent } from '../../policies/diagnostics.ts'
import { greylistChannel, type GreylistEvent } from '../../policies/greylist/diagnostics.ts'
import { suspicionChannel, type SuspicionEvent } from '../../policies/suspicion/diagnostics.ts'
import { subscribe, type Unsubscribe } from '../subscriptions.ts'

const DELAYS = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200, 86_400]

/** Counts decisions, the time that a client waited, signs of suspicion, and failures of the store. */
export function countGreylisting(registers: Registry<OpenMetricsContentType>[]): Unsubscribe[] {
  const decided = new Counter({
    name: 'mailhandler_greylist_decisions_total',
    help: 'Recipients that greylisting decided about: what the store said, and whether the client waits (or would).',
    labelNames: ['verdict', 'waits', 'observed'],
    registers,
  })
  const delay = new Histogram({
    name: 'mailhandler_greylist_delay_seconds',
    help: 'From the first attempt to the one that passed.',
    buckets: DELAYS,
    registers,
  })
  const signs = new Counter({
    name: 'mailhandler_suspicion_signs_total',
    help: 'Signs of suspicion that were found, by sign.',
    labelNames: ['sign'],
    registers,
  })
  const judged = new Counter({
    name: 'mailhandler_suspicion_clients_total',
    help: 'Clients that were judged, once for each transaction: fine, suspicious or refused.',
    labelNames: ['verdict'],
    registers,
  })
  const failures = new Counter({
    name: 'mailhandler_store_failures_total',
    help: 'Calls of policies to their store that failed, by policy.',
    labelNames: ['policy'],
    registers,
  })
  return [
    subscribe(greylistChannel, (event: GreylistEvent) => {
      if (event.event === 'failed') return failures.inc({ policy: 'greylist' })
      for (const { verdict, waits, age } of event.decisions) {
        decided.inc({ verdict, waits: String(waits), observed: String(event.observed) })
        if (verdict === 'pass') delay.observe(age / 1000)
      }
    }),
    subscribe(suspicionChannel, ({ suspicion, refused }: SuspicionEvent) => {
      for (const { sign } of suspicion.signs) signs.inc({ sign })
      judged.inc({ verdict: refused ? 'refused' : suspicion.suspicious ? 'suspicious' : 'fine' })
    }),
    subscribe(storeFailureChannel, ({ policy }: StoreFailureEvent) => failures.inc({ policy })),
  ]
}
