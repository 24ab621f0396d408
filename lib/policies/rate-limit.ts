// How often a client may do something, counted in a store: so across sessions, processes and machines.

import { networkOf, networksOf, type NetworkPrefixes } from '../protocol/networks/network.ts'
import type { Envelope } from '../smtp/envelope.ts'
import type { Policy } from '../smtp/hooks.ts'
import type { Session } from '../smtp/session.ts'
import type { Rate, Store } from '../stores/store.ts'
import { systemClock, type Clock } from '../time/clock.ts'
import { checkClock, checkKeys, wrong } from '../words/option-checks.ts'
import { LOCAL_ERROR } from '../words/replies.ts'
import { reply, type Reply } from '../words/reply.ts'
import { publishFailure } from './diagnostics.ts'
import { callsOf, wasAccepted } from './session-calls.ts'
import { checkStore } from './store-option.ts'

/** How many times in a span of `per` milliseconds; all of them may come at once. */
export type RateLimit = Pick<Rate, 'limit' | 'per'>

/** Options of {@link rateLimit}. */
export interface RateLimitOptions {
  /** What counts. */
  readonly store: Store
  /** Connections of a client network: 421 4.7.0 in the place of the greeting. @defaultValue no limit */
  readonly connections?: RateLimit | undefined
  /** MAIL commands of a client network, or of a user who has authenticated: 451 4.7.1. @defaultValue no limit */
  readonly messages?: RateLimit | undefined
  /** RCPT commands, as {@link RateLimitOptions.messages}. @defaultValue no limit */
  readonly recipients?: RateLimit | undefined
  /** Lengths of the prefix by which a client is counted, in bits. @defaultValue 32 and 64 */
  readonly prefixes?: NetworkPrefixes | undefined
  /** Networks that are not counted. @defaultValue none */
  readonly except?: readonly string[] | undefined
  /** What a failure of the store means: the client goes on, or gets 451 4.3.0. @defaultValue `'accept'` */
  readonly onStoreError?: 'accept' | 'defer' | undefined
  /** For the time that the store takes. @defaultValue the system's */
  readonly clock?: Clock | undefined
}

const WHAT = ['connections', 'messages', 'recipients'] as const
type What = (typeof WHAT)[number]

const WORDS: Readonly<Record<What, readonly [code: 421 | 451, status: string]>> = {
  connections: [421, '4.7.0'],
  messages: [451, '4.7.1'],
  recipients: [451, '4.7.1'],
}

/**
 * Limits how often a client connects, sends, and names recipients. A trusted client is not counted. What is refused does not
 * count, so a client that goes on trying is not locked out for longer. Throws `ERR_OPTION`.
 */
export function rateLimit(options: RateLimitOptions): Policy {
  checkKeys('', options, [...WHAT, 'store', 'prefixes', 'except', 'onStoreError', 'clock'])
  const { store, prefixes = {}, except = [], onStoreError = 'accept', clock = systemClock } = options
  checkStore(store)
  if (onStoreError !== 'accept' && onStoreError !== 'defer') throw wrong('onStoreError is one of accept, defer')
  if (WHAT.every(what => options[what] === undefined)) throw wrong(`rateLimit: set at least one of ${WHAT.join(', ')}`)
  for (const what of WHAT) checkRate(what, options[what])
  checkClock(clock)
  networkOf('', prefixes)
  const exempt = networksOf('except', except)
  const envelopes = new WeakMap<Session, Envelope>()

  const count = async (what: What, rate: RateLimit, session: Session, by: string): Promise<Reply | void> => {
    const key = `${what} ${by}`
    const outcome = await callsOf(session, clock).ask(call => store.hit(key, rate, call))
    if (outcome.ok) return outcome.value.allowed ? undefined : refusal(what, outcome.value.wait)
    if (outcome.error !== null) publishFailure('rateLimit', session, outcome.error)
    if (onStoreError === 'defer' || outcome.isBusy) return what === 'connections' ? refusal(what, 60_000) : LOCAL_ERROR
  }
  const hook = (what: What, session: Session): Promise<Reply | void> | void => {
    const rate = options[what]
    const { address } = session.client
    if (rate === undefined || session.trusted !== null || address === null || exempt.has(address)) return
    const by = session.user === null ? `net ${networkOf(address, prefixes)}` : `user ${session.user}`
    return count(what, rate, session, by)
  }

  return {
    name: 'rateLimit',
    onConnect: session => hook('connections', session),
    onMailFrom: (_, session) => hook('messages', session),
    onRcptTo(_, session) {
      envelopes.set(session, session.envelope)
      return hook('recipients', session)
    },
    onReset(session) {
      const envelope = envelopes.get(session)
      envelopes.delete(session)
      if (envelope !== undefined && wasAccepted(envelope)) callsOf(session, clock).renew()
    },
  }
}

function checkRate(name: string, rate: RateLimit | undefined): void {
  if (rate === undefined) return
  checkKeys(name, rate, ['limit', 'per'])
  for (const key of ['limit', 'per'] as const) {
    if (!Number.isSafeInteger(rate[key]) || rate[key] < 1) throw wrong(`${name}.${key} is a whole number above 0`)
  }
  if (rate.limit > rate.per * 1000) throw wrong(`${name}.limit is at most 1,000,000 in a second`)
}

function refusal(what: What, wait: number): Reply {
  const seconds = Math.max(1, Math.ceil(wait / 1000))
  const [code, status] = WORDS[what]
  return reply(code, status, `Too many ${what}, try again in ${seconds} seconds`)
}
