// How SPF is asked. The check itself is a function: mailauth's, or the program's own. [RFC 7208]

import type { DnsAnswer, DnsCallOptions, DnsResolver, DnsType } from '../../dns/resolver.ts'
import type { Clock } from '../../time/clock.ts'
import type { SpfOutcome } from './verdict.ts'

/** What SPF is asked about. */
export interface SpfRequest {
  /** The client's IP address. */
  readonly address: string
  /** The HELO name, as it came. */
  readonly helo: string
  /** The sender, its domain in lower case; `''` for `<>`, for which the HELO name is asked. [RFC 7208 §2.4] */
  readonly sender: string
  /** The domain to ask: that of the sender, or for `<>` the HELO name. */
  readonly domain: string
  /** This server's name. */
  readonly serverName: string
  /** Asks DNS within the time that is left, and no longer than the client stays. */
  readonly resolver: DnsResolver
}

/** Asks SPF whether the client may send for the domain. What it rejects with, or does not say in time, is `temperror`. */
export type SpfCheck = (request: SpfRequest) => Promise<SpfOutcome>

/** A resolver whose every answer is there at `end` of the clock, or once the signal is aborted. */
export function resolverUntil(
  resolver: DnsResolver,
  { clock, end, signal }: { readonly clock: Clock; readonly end: number; readonly signal: AbortSignal },
): DnsResolver {
  return {
    resolve<Type extends DnsType>(name: string, type: Type, call: DnsCallOptions = {}): Promise<DnsAnswer<Type>> {
      const timeout = Math.min(call.timeout ?? Infinity, end - clock.now())
      return resolver.resolve(name, type, { signal, ...call, timeout })
    },
    close() {},
  }
}
