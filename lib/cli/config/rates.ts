// The table [rates].

import { leaf, maybe, table, type Schema } from './leaves.ts'
import { readDuration } from './units.ts'

/** How many times in a span of `per` milliseconds. */
export interface RateConfig {
  readonly limit: number
  readonly per: number
}

/** How often a client network may connect and send: `[rates]`. */
export interface RatesConfig {
  readonly connections?: RateConfig
  readonly messages?: RateConfig
  readonly except?: readonly string[]
}

const rate = leaf('a number and a duration such as "100/1h", at most 1,000,000 a second', value => {
  const [, count, span] = (typeof value === 'string' && /^(\d{1,9})\/(\w+)$/.exec(value)) || []
  const limit = Number(count)
  const per = readDuration(span)
  return per !== null && limit >= 1 && limit <= per * 1000 ? { limit, per } : null
})

/** Makes the schema of `[rates]`. */
export function ratesTable(networks: Schema<string[]>): Schema<RatesConfig> {
  return table<RatesConfig>({ connections: maybe(rate), messages: maybe(rate), except: maybe(networks) })
}
