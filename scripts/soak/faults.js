// The faults of a run: workers killed; the store killed or frozen; the upstream killed or frozen, and SIGHUP with good and
// bad files. Each of the three goes on by itself, so that faults meet.

import { setTimeout as pause } from 'node:timers/promises'

const UPSTREAM = { upstream: 35, freeze: 35, reload: 15, badReload: 15 }
const STORE = { store: 50, freezeStore: 50 }
const WORKERS = { worker: 1 }

/**
 * Makes faults until `signal` is aborted; each kind comes at least once. `store` is null if it is not to be killed.
 * Resolves with the counts.
 */
export async function makeFaults({ gateway, upstream, store, random, signal, seconds }) {
  const counts = Object.fromEntries(Object.keys(FAULTS).map(kind => [kind, 0]))
  // About one fault in three seconds; in a short run each kind still comes.
  const longest = Math.min(4000, (seconds * 1000) / 8)
  async function repeat(kinds, from, to) {
    const first = random.shuffle(Object.keys(kinds))
    await pause(random.whole(from / 2, from))
    while (!signal.aborted || first.length > 0) {
      const kind = first[0] ?? random.pick(kinds)
      const times = await FAULTS[kind]({ gateway, upstream, store, random, longest })
      counts[kind] += times
      if (times > 0 && kind === first[0]) first.shift()
      await pause(random.whole(from, to))
    }
  }
  await Promise.all([
    // Not more often: a worker that dies within 10 s of its start is started again later and later.
    repeat(WORKERS, longest, longest * 3),
    repeat(UPSTREAM, longest / 4, longest),
    store === null ? null : repeat(STORE, longest / 2, longest * 2),
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
  async store({ store, random, longest }) {
    await store.kill()
    await pause(random.chance(0.5) ? 0 : random.whole(0, longest))
    await store.start()
    return 1
  },
  async freezeStore({ store, random, longest }) {
    store.signal('SIGSTOP')
    await pause(random.whole(100, longest))
    store.signal('SIGCONT')
    return 1
  },
  async reload({ gateway, random }) {
    const onStoreError = random.chance(0.5) ? 'accept' : 'defer'
    gateway.configure({ banner: `Banner ${random.whole(1, 1e6)}`, onStoreError })
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
