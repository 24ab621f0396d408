// What the processes of the gateway hold in the end, beside what they held in the beginning.

/** What a process may hold more in the end: caches are warm then, a few timers run. */
const MORE = { MiB: 150, descriptors: 16, sockets: 8 }

/** A line for each process that has not come back to where it began. The first is the primary, the others are workers. */
export function grown([primary, ...workers], [primaryThen, ...workersThen]) {
  const most = key => Math.max(0, ...workers.map(worker => worker[key]))
  const lines = []
  const look = (name, before, after) => {
    for (const [key, more] of Object.entries(MORE)) {
      if (after[key] > before(key) + more) lines.push(`${name}: ${after[key]} ${key}, ${before(key)} in the beginning`)
    }
  }
  if (primaryThen !== undefined) look('primary', key => primary[key], primaryThen)
  for (const worker of workersThen) look('worker', most, worker)
  return lines
}
