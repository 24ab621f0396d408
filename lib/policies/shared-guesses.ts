// Wrong credentials, counted in a store: so by all processes and machines that share it.

import { GUESS_LIMITS, type GuessLimits } from '../smtp/auth/auth-guard.ts'
import type { GuessCounter } from '../smtp/auth/wrong-credentials.ts'
import { WrongCredentials } from '../smtp/auth/wrong-credentials.ts'
import type { Store } from '../stores/store.ts'
import { systemClock } from '../time/clock.ts'
import { numbers } from '../words/option-checks.ts'
import { checkStore } from './store-option.ts'

const NETWORKS = 10_000

/**
 * The option `auth.guesses.counter`, over a store: `auth: { guesses: { counter: sharedGuesses(store) } }`. One password that is
 * wrong, sent again and again, counts once for all processes: their digests have a key of the store's salt in common. This
 * process counts too, and alone if the store fails; a failure never lets a guess through that the process itself would not.
 * `what` keeps other counts apart from passwords, such as the unknown recipients of `verifyRecipients()`. Throws `ERR_OPTION`.
 */
export function sharedGuesses(
  store: Store,
  limits: Partial<Pick<GuessLimits, 'credentials' | 'window'>> = {},
  what = 'guess',
): GuessCounter {
  checkStore(store)
  const { credentials, window } = numbers('guesses', pick(GUESS_LIMITS), limits)
  const own = new WrongCredentials({ credentials, window, networks: NETWORKS }, systemClock)
  const rate = { limit: Math.floor(credentials), per: Math.ceil(window) }
  return {
    ...(store.derive === undefined ? {} : { key: () => store.derive!('guesses') }),
    async isExhausted(network) {
      if (own.isExhausted(network)) return true
      try {
        return !(await store.hit(`${what}es ${network}`, { ...rate, cost: 0 })).allowed
      } catch {
        return false // What the store knows is missing; the process's own count was asked before.
      }
    },
    async hit(network, digest) {
      own.hit(network, digest)
      try {
        const key = `${what} ${network} ${digest}`
        const [isKnown] = await store.known([key])
        if (isKnown === true) return
        await store.know(key, rate.per)
        await store.hit(`${what}es ${network}`, rate)
      } catch {}
    },
  }
}

function pick({ credentials, window }: GuessLimits): Pick<GuessLimits, 'credentials' | 'window'> {
  return { credentials, window }
}
