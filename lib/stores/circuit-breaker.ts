// A store that fails is left alone for a while: its callers are answered at once, and wait for nothing.
//
//   closed ── failures in a row ──→ open ── pause ──→ one call is let through ── succeeds ──→ closed
//                                     ↑                                     └── fails ──→ open

import { systemClock, type Clock } from '../time/clock.ts'
import { checkKeys, wrong } from '../words/option-checks.ts'
import { safeListener } from './listener.ts'
import { StoreError } from './store-error.ts'
import type { CallOptions, Store } from './store.ts'

/** Options of {@link circuitBreaker}. */
export interface CircuitBreakerOptions {
  /** How many failures in a row open the breaker. @defaultValue 3 */
  readonly failures?: number | undefined
  /** Milliseconds until the next call is let through. @defaultValue 1,000 */
  readonly pause?: number | undefined
  /** Called when the breaker opens, with the failure, and with null when it closes; for a log line or a metric. */
  readonly onChange?: ((failure: StoreError | null) => void) | undefined
  /** @defaultValue the system's */
  readonly clock?: Clock | undefined
}

/**
 * A store above another, of any kind. While it is open, `greylist`, `accept`, `hit`, `know` and `known` reject at once with
 * a {@link StoreError} of the kind that opened it; the calls of an administrator go through.
 */
export function circuitBreaker(store: Store, options: CircuitBreakerOptions = {}): Store {
  checkKeys('', options, ['failures', 'pause', 'onChange', 'clock'])
  const breaker = new Breaker(options)
  return {
    name: store.name,
    greylist: (request, call) => breaker.guard(call, () => store.greylist(request, call)),
    accept: (request, call) => breaker.guard(call, () => store.accept(request, call)),
    hit: (key, rate, call) => breaker.guard(call, () => store.hit(key, rate, call)),
    know: (key, life, call) => breaker.guard(call, () => store.know(key, life, call)),
    known: (keys, call) => breaker.guard(call, () => store.known(keys, call)),
    forget: (key, call) => store.forget(key, call),
    put: (entry, call) => store.put(entry, call),
    scan: filter => store.scan(filter),
    sweep: () => store.sweep(),
    stats: () => store.stats(),
    close: () => store.close(),
    ...(store.derive === undefined ? {} : { derive: purpose => store.derive!(purpose) }),
  }
}

class Breaker {
  readonly #limit: number
  readonly #pause: number
  readonly #onChange: (failure: StoreError | null) => void
  readonly #clock: Clock
  #failures = 0
  /** The failure that opened it; null while it is closed. */
  #openedBy: StoreError | null = null
  /** When the next call is let through. */
  #until = 0

  constructor({ failures = 3, pause = 1000, onChange = () => {}, clock = systemClock }: CircuitBreakerOptions) {
    if (!Number.isInteger(failures) || failures < 1) throw wrong('circuitBreaker: failures is 1 or more')
    if (!(pause > 0)) throw wrong('circuitBreaker: pause is a number of milliseconds above 0')
    this.#limit = failures
    this.#pause = pause
    this.#onChange = safeListener(onChange)
    this.#clock = clock
  }

  async guard<T>(options: CallOptions | undefined, call: () => Promise<T>): Promise<T> {
    const openedBy = this.#openedBy
    if (openedBy !== null) {
      const now = this.#clock.now()
      if (now < this.#until) {
        throw new StoreError(openedBy.kind, `the store has failed lately: ${openedBy.message}`, { cause: openedBy })
      }
      this.#until = now + this.#pause // One call is let through; a second one if this takes too long.
    }
    try {
      const result = await call()
      this.#succeeded()
      return result
    } catch (error) {
      // A call that its caller gave up says nothing about the store.
      if (error instanceof StoreError && options?.signal?.aborted !== true) this.#failed(error)
      throw error
    }
  }

  #succeeded(): void {
    this.#failures = 0
    if (this.#openedBy === null) return
    this.#openedBy = null
    this.#onChange(null)
  }

  #failed(error: StoreError): void {
    this.#failures++
    if (this.#openedBy !== null || this.#failures < this.#limit) return
    this.#openedBy = error
    this.#until = this.#clock.now() + this.#pause
    this.#onChange(error)
  }
}
