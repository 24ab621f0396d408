// The table [status].

import { isDomain } from '../../protocol/addresses/domain.ts'
import { flag, leaf, list, maybe, table, type Schema } from './leaves.ts'
import type { KeyPath } from './locate.ts'
import { isLoopback, type ListenAddress } from './units.ts'

/** The status page: `[status]`. */
export interface StatusConfig {
  /** Names by which browsers may ask, beside localhost and addresses. */
  readonly hosts: readonly string[]
  readonly tokenFile?: string
  /** True if the local parts of addresses are left out. */
  readonly mask: boolean
}

const host = leaf('a host name such as "mail.example.org"', value => {
  return typeof value === 'string' && isDomain(value, { utf8: false, strictness: 'interoperable' }) ? value : null
})

/** Makes the schema of `[status]`. */
export function statusTable(file: Schema<string>): Schema<StatusConfig> {
  return table<StatusConfig>({
    hosts: maybe(list(host, 'a list of host names'), []),
    tokenFile: maybe(file),
    mask: maybe(flag, true),
  })
}

/** Finds what keeps the page from being served: it is where the metrics are, and strangers need a token. */
export function statusProblems(status?: StatusConfig, listen?: ListenAddress): [KeyPath, string][] {
  if (status === undefined) return []
  if (listen === undefined) return [[['status'], 'needs metrics.listen: it is served there, at /status']]
  if (isLoopback(listen) || status.tokenFile !== undefined) return []
  const what = 'others can connect to metrics.listen: the page needs status.token_file, or listen on 127.0.0.1'
  return [[['status'], what]]
}
