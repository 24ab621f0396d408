// job ─→ one transaction for a batch of operations, a page, a step of sweeping ─→ answer
//
// The thread that has the file open. It may wait for a lock or a disk; the main thread never does.

import { parentPort, workerData } from 'node:worker_threads'
import { perform } from '../operations.ts'
import { Connection } from './connection.ts'
import { loadDriver } from './driver.ts'
import type { JobMessage, Jobs, WorkerData, WorkerMessage } from './messages.ts'
import { scanPage } from './scan.ts'
import { Sweeper } from './sweeper.ts'
import { WorkGate } from './work-gate.ts'

const settings = workerData as WorkerData
const gate = new WorkGate(settings.gate)
const sweeper = new Sweeper()
const post = (message: WorkerMessage): void => parentPort!.postMessage(message)
/** The time is taken inside of the transaction, so that between processes it goes on in the order of the locks. */
function timeOf(job: JobMessage): number {
  return job.now ?? Date.now()
}

function carryOut(connection: Connection, job: JobMessage): Jobs[keyof Jobs]['answer'] {
  switch (job.type) {
    case 'batch':
      return connection.transaction(tables => {
        const now = timeOf(job)
        const results = job.operations.map(operation => perform(operation, tables, now))
        sweeper.evict(tables)
        return results
      })
    case 'scan':
      return connection.read(tables => scanPage(tables, job, timeOf(job)))
    case 'sweep':
      if (job.restart) sweeper.restart()
      return connection.transaction(tables => sweeper.step(tables, timeOf(job)))
    case 'stats':
      return { ...connection.read(tables => tables.readCounts()), octets: connection.octets() }
    case 'close':
      connection.close()
      return null
  }
}

function handle(connection: Connection, job: JobMessage): void {
  const { id } = job
  try {
    post({ id, answer: carryOut(connection, job) })
  } catch (error) {
    post({ id, failure: { kind: connection.failed(error), message: messageOf(error) } })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** A step of sweeping from time to time. */
function sweepSometimes(connection: Connection): void {
  const sweep = (): void => {
    try {
      connection.transaction(tables => sweeper.step(tables, Date.now()))
    } catch (error) {
      connection.failed(error) // The next call meets the same trouble, and reports it.
    }
  }
  if (settings.sweepInterval > 0) setInterval(() => gate.pass(sweep), settings.sweepInterval).unref()
}

/** Takes jobs, up to the one that closes; then nothing keeps the thread alive. */
function listen(take: (job: JobMessage) => void): void {
  parentPort!.on('message', (job: JobMessage) => {
    gate.pass(() => take(job))
    if (job.type === 'close') parentPort!.close()
  })
}

async function begin(): Promise<void> {
  if (!gate.enter()) return
  try {
    const openDatabase = await loadDriver()
    const connection = new Connection(settings, openDatabase, warning => post({ warning }))
    listen(job => handle(connection, job))
    sweepSometimes(connection)
  } catch (error) {
    post({ warning: messageOf(error) }) // at once: a policy that lets mail pass without its store hides the rest
    listen(({ id }) => post({ id, failure: { kind: 'down', message: messageOf(error) } }))
  } finally {
    gate.leave()
  }
}

await begin()
