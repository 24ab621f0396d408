// The faults of a run: workers killed; the store killed or frozen; the disk full; upstreams killed or frozen, and SIGHUP
// with good and bad files. Each of the four goes on by itself, so that faults meet.

import { setTimeout as pause } from 'node:timers/promises'

const UPSTREAM = { upstream: 35, freeze: 35, reload: 15, badReload: 15 }
const STORE = { store: 50, freezeStore: 50 }
const DISK = { disk: 1 }
const WORKERS = { worker: 45, boxWorker: 30, freezeWorker: 25 }

/** Milliseconds between faults that come once the time is over. */
const SOON = 300

/**
 * Makes faults until `signal` is aborted; each kind comes at least once. `parts` are the gateway, the boxes, the
 * upstreams, the store and the disk of the boxes; the last two are null if they stay as they are. Resolves with the counts.
 */
export async function makeFaults(parts, { random, signal, seconds }) {
  const counts = Object.fromEntries(Object.keys(FAULTS).map(kind => [kind, 0]))
  // About one fault in three seconds; in a short run each kind still comes.
  const longest = Math.min(4000, (seconds * 1000) / 8)
  // Once the time is over, what has not come yet comes soon.
  const rest = milliseconds =>
    pause(signal.aborted ? SOON : milliseconds, undefined, { signal }).catch(() => pause(SOON))
  async function repeat(kinds, from, to) {
    const first = random.shuffle(Object.keys(kinds))
    await rest(random.whole(from / 2, from))
    while (!signal.aborted || first.length > 0) {
      const kind = first[0] ?? random.pick(kinds)
      const times = await FAULTS[kind]({ ...parts, random, longest })
      counts[kind] += times
      if (times > 0 && kind === first[0]) first.shift()
      await rest(random.whole(from, to))
    }
  }
  await Promise.all([
    // Not more often: a worker that dies within 10 s of its start is started again later and later.
    repeat(WORKERS, longest / 2, longest * 2),
    repeat(UPSTREAM, longest / 4, longest),
    parts.disk === null ? null : repeat(DISK, longest / 2, longest * 4),
    parts.store === null ? null : repeat(STORE, longest / 2, longest * 4),
  ])
  return counts
}

/** Each resolves with how often it happened, once all is as before. */
const FAULTS = {
  worker({ gateway, random }) {
    return forWorker(gateway, random, pid => gateway.killWorker(pid))
  },
  boxWorker({ boxes, random }) {
    return forWorker(boxes, random, pid => boxes.killWorker(pid))
  },
  freezeWorker({ gateway, boxes, random, longest }) {
    const [service] = random.shuffle([gateway, boxes])
    return forWorker(service, random, async pid => {
      process.kill(pid, 'SIGSTOP')
      await pause(random.whole(100, longest))
      if (random.chance(0.3)) service.killWorker(pid)
      else process.kill(pid, 'SIGCONT')
    })
  },
  async upstream({ upstreams, random, longest }) {
    const [upstream] = random.shuffle(upstreams)
    await upstream.kill()
    await pause(random.chance(0.5) ? 0 : random.whole(0, longest))
    await upstream.start()
    return 1
  },
  async freeze({ upstreams, random, longest }) {
    const [upstream] = random.shuffle(upstreams)
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
  async disk({ disk, random, longest }) {
    disk.fill()
    await pause(random.whole(100, longest))
    disk.empty()
    return 1
  },
  async reload({ gateway, boxes, random }) {
    const [service] = random.shuffle([gateway, boxes])
    const onStoreError = random.chance(0.5) ? 'accept' : 'defer'
    await service.reload({ banner: `Banner ${random.whole(1, 1e6)}`, onStoreError })
    return 1
  },
  async badReload({ gateway, boxes, random }) {
    const [service] = random.shuffle([gateway, boxes])
    await service.reload({ isBad: true })
    service.configure()
    return 1
  },
}

/** Does something to a worker; resolves with 0 if there is none at the moment. */
async function forWorker(service, random, act) {
  const [pid] = random.shuffle(service.workers())
  if (pid === undefined) return 0
  try {
    await act(pid)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error // it has died a moment ago
  }
  return 1
}
