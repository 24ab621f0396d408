// What is measured, in order. Each entry: who takes part, and one round of one of them, which gives the figures by row of
// its table: the figure itself, and beside it a second one, if there is one.

import { available, SERVERS } from '../servers.js'
import { COMMAND, START } from './command.js'
import { IDLE_SERVERS, measureIdle } from './idle.js'
import { closeServers, measureNetwork, NETWORK_LOADS, openServers } from './network.js'
import { RELAY_MEMORY, RELAY_WORKLOADS } from './relay.js'
import { SESSION_WORKLOADS } from './sessions.js'
import { measureShapes, SHAPE_SUBJECTS } from './shapes.js'
import { measureSlowConsumer, SLOW_SERVERS } from './slow-consumer.js'
import { STORED } from './stored.js'
import { measureWorkers, WORKERS } from './workers.js'

/** A quick run is without those that take long and that no target is about. */
const NOT_QUICKLY = new Set(['Haraka', 'aiosmtpd', 'floor: net.Server'])

const network = Object.entries(NETWORK_LOADS).map(([key, load]) => {
  const unit = load.octets < 2 ** 20 ? 'message' : 'MiB'
  return {
    key,
    title: load.title,
    unit: `µs of CPU a ${unit}`,
    beside: load.countsFaults ? 'page faults a MiB' : unit === 'MiB' ? 'MiB/s' : 'messages/s',
    rounds: { full: 7, quick: 3 },
    subjects: load.servers,
    open: (names, quick) => openServers(load, names, quick),
    close: closeServers,
    async measure(name, quick, servers) {
      const { cpu, beside } = await measureNetwork(load, name, quick, servers[name])
      return { [name]: [cpu, beside] }
    },
  }
})

export const WORKLOADS = [
  ...network,
  {
    key: 'shapes',
    title: 'Shapes of mail data, in memory',
    unit: 'µs of CPU a MiB',
    rounds: { full: 5, quick: 2 },
    subjects: SHAPE_SUBJECTS,
    async measure(subject, quick) {
      return rows(subject, await measureShapes(subject, quick))
    },
  },
  {
    key: 'idle',
    title: 'Idle connections after EHLO',
    unit: 'KiB a connection',
    rounds: { full: 3, quick: 1 },
    subjects: IDLE_SERVERS,
    async measure(name, quick) {
      return rows(name, await measureIdle(name, quick))
    },
  },
  {
    key: 'slow',
    title: 'A slow consumer',
    unit: 'MiB of growth',
    beside: 'MiB a client is ahead',
    rounds: { full: 1, quick: 1 },
    subjects: SLOW_SERVERS,
    async measure(name, quick) {
      const { growth, ahead } = await measureSlowConsumer(name, quick)
      return { [name]: [growth, ahead] }
    },
  },
  {
    key: 'workers',
    title: 'Workers, 1 KiB, kept connections',
    unit: 'messages/s',
    beside: 'µs of CPU a message',
    rounds: { full: 5, quick: 2 },
    subjects: WORKERS,
    async measure(subject, quick) {
      const { rate, cpu } = await measureWorkers(subject, quick)
      return { [subject.label]: [rate, cpu] }
    },
  },
  ...RELAY_WORKLOADS,
  RELAY_MEMORY,
  ...SESSION_WORKLOADS,
  STORED,
  COMMAND,
  START,
]

/** All rounds of a workload, interleaved: A B C, A B C, … */
export async function runWorkload(workload, { quick, rounds, versions }) {
  const servers = new Set(
    Object.keys(SERVERS).filter(name => available(name, versions) && !(quick && NOT_QUICKLY.has(name))),
  )
  const subjects = workload.subjects.filter(
    name => !(name in SERVERS) || servers.has(name) || workload.key === 'shapes',
  )
  const table = { ...workload, figures: {}, besides: {} }
  const count = rounds ?? workload.rounds[quick ? 'quick' : 'full']
  const opened = await workload.open?.(subjects, quick)
  try {
    for (let round = 0; round < count; round += 1) {
      for (const subject of subjects) add(table, await workload.measure(subject, quick, opened))
    }
  } finally {
    await workload.close?.(opened)
  }
  return table
}

function add({ figures, besides }, measured) {
  for (const [row, [figure, beside]] of Object.entries(measured)) {
    ;(figures[row] ??= []).push(figure)
    if (beside !== undefined) (besides[row] ??= []).push(beside)
  }
}

function rows(subject, figures) {
  return Object.fromEntries(Object.entries(figures).map(([name, figure]) => [`${subject} · ${name}`, [figure]]))
}
