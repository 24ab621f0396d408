// The faults of a run, one after the other: workers and the upstream killed, the upstream frozen, SIGHUP with good and
// bad files.

import { setTimeout as pause } from 'node:timers/promises'

const KINDS = { upstream: 35, freeze: 35, reload: 15, badReload: 15 }

/**
 * Makes faults until `signal` is aborted; each kind comes at least once. Workers are killed at times of
 * their own, also while the upstream is frozen or gone. Resolves with the counts.
 */
export async function makeFaults({ gateway, upstream, random, signal, seconds }) {
  const counts = { worker: 0, ...Object.fromEntries(Object.keys(KINDS).map(kind => [kind, 0])) }
  const first = random.shuffle(Object.keys(KINDS))
  // About one fault in three seconds; in a short run each kind still comes.
  const longest = Math.min(4000, (seconds * 1000) / 8)
  async function repeat(shortest, isMissing, next) {
    await pause(random.whole(shortest / 2, shortest))
    while (!signal.aborted || isMissing()) {
      const kind = next()
      counts[kind] += await FAULTS[kind]({ gateway, upstream, random, longest })
      await pause(random.whole(shortest, kind === 'worker' ? longest * 3 : longest))
    }
  }
  // Not more often: a worker that dies within 10 s of its start is started again later and later.
  await Promise.all([
    repeat(
      longest,
      () => counts.worker === 0,
      () => 'worker',
    ),
    repeat(
      longest / 4,
      () => first.length > 0,
      () => first.shift() ?? random.pick(KINDS),
    ),
  ])
  return counts
}

/** Each resolves with how often it happened, once all is as before. */
const FAULTS = {
  worker({ gateway, random }) {
    const [pid] = random.shuffle(gateway.workers())
    if (pid === undefined) return 0
    gateway.killWorker(pid)
    return 1
  },
  async upstream({ upstream, random, longest }) {
    await upstream.kill()
    await pause(random.chance(0.5) ? 0 : random.whole(0, longest))
    await upstream.start()
    return 1
  },
  async freeze({ upstream, random, longest }) {
    upstream.signal('SIGSTOP')
    await pause(random.whole(100, longest))
    if (random.chance(0.3)) {
      // Killed while frozen: what it had taken is lost with it.
      await upstream.kill()
      await upstream.start()
    } else upstream.signal('SIGCONT')
    return 1
  },
  async reload({ gateway, random }) {
    gateway.configure({ banner: `Banner ${random.whole(1, 1e6)}` })
    gateway.reload()
    await pause(200)
    return 1
  },
  async badReload({ gateway }) {
    gateway.configure({ isBad: true })
    gateway.reload()
    await pause(300)
    gateway.configure()
    return 1
  },
}
