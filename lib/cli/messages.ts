// What a primary and its workers say to each other.

import type { Snapshot } from './metrics/worker-metrics.ts'

/** To a worker. */
export type Order =
  /** The text of the configuration to start with, which is the last good one. */
  | { readonly order: 'start' | 'reload'; readonly text: string }
  | { readonly order: 'stop'; readonly within: number }
  | { readonly order: 'metrics' }

/** From a worker. */
export type Report =
  /** It listens to orders from now on. */
  | { readonly report: 'hello' }
  | { readonly report: 'ready'; readonly addresses: readonly string[] }
  | { readonly report: 'failed'; readonly reason: string }
  | { readonly report: 'metrics'; readonly snapshot: Snapshot }
