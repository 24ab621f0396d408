// The messages between the primary and its workers.

import type { Snapshot } from './metrics/metrics-text.ts'
import type { StatusBatch } from './status/facts.ts'

/** To a worker. */
export type Order =
  /** The text of the configuration to start with: the last one without errors. */
  | { readonly order: 'start' | 'reload'; readonly text: string }
  | { readonly order: 'stop'; readonly within: number }
  | { readonly order: 'metrics' }
  /** A connection comes with this message. It was accepted by the listener with this index. */
  | { readonly order: 'connection'; readonly id: number; readonly listener: number }

/** From a worker. */
export type Report =
  /** It accepts orders from now on. */
  | { readonly report: 'hello' }
  | { readonly report: 'ready' }
  | { readonly report: 'failed'; readonly reason: string }
  | { readonly report: 'metrics'; readonly snapshot: Snapshot }
  /** For the status page, a few times a second. */
  | { readonly report: 'status'; readonly batch: StatusBatch }
  /** The connection with this id is the worker's. */
  | { readonly report: 'taken'; readonly id: number }
