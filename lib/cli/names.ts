// The names of clients: one resolver for the process, whose answers all policies share.

import { resolver, type DnsResolver } from '../dns/resolver.ts'

let shared: DnsResolver | null = null

/** Returns the resolver of this process. */
export function nameResolver(): DnsResolver {
  return (shared ??= resolver())
}
