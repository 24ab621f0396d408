// Workers that die while connections are handed to them: no client is left waiting, and no socket stays in the primary.

import { readdirSync, readlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import t, { type Test } from 'tap'
import { Dispatcher, type Receiver } from '../lib/cli/dispatcher.ts'
import { FakeClock } from './fixtures/fake-clock.ts'
import { Client, start, workersOf, type Running } from './fixtures/command.ts'

/** Counts the sockets that a process has open. */
function socketsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter(fd => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

/** The sockets that a process has open, once they are no more than so many; 20 seconds later, whatever they are. */
async function socketsSoon(pid: number, most: number): Promise<number> {
  for (let i = 0; i < 1000 && socketsOf(pid) > most; i++) await settle(20)
  return socketsOf(pid)
}

const settle = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Connects and waits for the greeting: `greeted`, `closed`, or `waiting` after so many milliseconds. */
function greeting(port: number, patience: number): Promise<'greeted' | 'closed' | 'waiting'> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const end = (how: 'greeted' | 'closed' | 'waiting') => {
      clearTimeout(timer)
      resolve(how)
      socket.destroy()
    }
    const timer = setTimeout(() => end('waiting'), patience)
    socket.on('data', () => end('greeted')).on('close', () => end('closed'))
    socket.on('error', () => {})
  })
}

async function startWorkers(t: Test, workers: number): Promise<{ server: Running; port: number }> {
  const listen = `[[listen]]\naddress = "127.0.0.1:0"\n`
  const folder = t.testdir({
    'm.toml': `workers = ${workers}\nper_client = { connections = 10000, per_minute = 1000000 }\n${listen}`,
  })
  const server = start(['serve', '-c', 'm.toml'], folder)
  t.teardown(() => server.child.kill('SIGKILL'))
  return { server, port: await server.port }
}

t.test('a worker that stops answering and is killed: its clients are closed, the others served', async t => {
  const { server, port } = await startWorkers(t, 2)
  const before = socketsOf(server.child.pid!)
  const [first] = workersOf(server)
  process.kill(first!, 'SIGSTOP')
  const clients = Array.from({ length: 40 }, () => greeting(port, 30_000))
  await settle(500)
  process.kill(first!, 'SIGKILL')
  const results = await Promise.all(clients)
  const count = (how: string): number => results.filter(result => result === how).length
  t.equal(count('waiting'), 0, 'no client waits')
  t.equal(count('greeted') + count('closed'), 40)
  t.ok(count('greeted') >= 39, `${count('greeted')} greeted: a worker that hangs delays one client`)
  while (workersOf(server).includes(first!) || workersOf(server).length < 2) await settle(20)
  t.equal(await socketsSoon(server.child.pid!, before), before, 'no socket stays in the primary')
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('kill -9 of workers under load: every client is greeted or closed, and no socket stays', async t => {
  const { server, port } = await startWorkers(t, 2)
  const before = socketsOf(server.child.pid!)
  const results = { greeted: 0, closed: 0, waiting: 0 }
  const stop = new AbortController()
  const load = Array.from({ length: 20 }, async () => {
    // Longer than the pause before a worker that died often is started again.
    while (!stop.signal.aborted) results[await greeting(port, 20_000)] += 1
  })
  for (let round = 0; round < 12; round++) {
    await settle(350)
    const workers = workersOf(server)
    const victim = workers[round % workers.length]
    if (victim !== undefined) kill(victim)
  }
  stop.abort()
  await Promise.all(load)
  t.comment(JSON.stringify(results))
  t.equal(results.waiting, 0)
  t.ok(results.greeted > 20)
  while (workersOf(server).length < 2) await settle(50)
  t.match(await Client.deliver(port, 'x'), /^250 /)
  const after = await socketsSoon(server.child.pid!, before)
  t.ok(after <= before, `${after} sockets, ${before} before`)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

/** Kills a process that may be gone already. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** A worker that keeps what it is given. */
class FakeWorker implements Receiver {
  readonly given: number[] = []
  fails = false

  give(id: number, _listener: number, _socket: unknown, sent: (error: Error | null) => void): void {
    this.given.push(id)
    sent(this.fails ? new Error('gone') : null)
  }
}

const fakeSocket = (): never => new PassThrough() as never

t.test('the dispatcher gives a worker one connection at a time, and is bounded', t => {
  const dispatcher = new Dispatcher(() => {})
  const [hanging, quick] = [new FakeWorker(), new FakeWorker()]
  dispatcher.add(hanging)
  dispatcher.add(quick)
  for (let i = 0; i < 100; i++) {
    dispatcher.dispatch(0, fakeSocket())
    for (const id of quick.given) dispatcher.confirm(quick, id)
  }
  t.equal(hanging.given.length, 1, 'a worker that takes nothing gets one connection')
  t.equal(quick.given.length, 99)

  const sockets = Array.from({ length: 2000 }, fakeSocket) as PassThrough[]
  for (const socket of sockets) dispatcher.dispatch(0, socket as never)
  t.equal(sockets.filter(socket => socket.destroyed).length, 999, 'one is given, 1,000 wait')
  dispatcher.remove(hanging)
  dispatcher.close()
  dispatcher.remove(quick)
  t.ok(sockets.every(socket => socket.destroyed))
  dispatcher.dispatch(0, fakeSocket())
  t.end()
})

t.test('free workers take turns', t => {
  const dispatcher = new Dispatcher(() => {})
  const workers = [new FakeWorker(), new FakeWorker(), new FakeWorker()]
  for (const worker of workers) dispatcher.add(worker)
  for (let i = 0; i < 30; i++) {
    dispatcher.dispatch(0, fakeSocket())
    for (const worker of workers) dispatcher.confirm(worker, worker.given.at(-1) ?? 0)
  }
  for (const worker of workers) t.equal(worker.given.length, 10)
  t.end()
})

t.test('connections wait for the first worker; one that cannot be sent is closed', t => {
  const dispatcher = new Dispatcher(() => {})
  const [one, two] = [fakeSocket(), fakeSocket()] as [PassThrough, PassThrough]
  dispatcher.dispatch(3, one as never)
  const worker = new FakeWorker()
  dispatcher.add(worker)
  t.strictSame(worker.given, [1])
  dispatcher.confirm(worker, 1)
  t.ok(one.destroyed, 'the primary lets go of it')
  worker.fails = true
  dispatcher.dispatch(0, two as never)
  t.ok(two.destroyed)
  t.end()
})

t.test('a worker that takes no connection within a minute is reported, once', async t => {
  const clock = new FakeClock()
  const hanging: FakeWorker[] = []
  const dispatcher = new Dispatcher<FakeWorker>(worker => {
    hanging.push(worker)
    dispatcher.remove(worker)
  }, clock)
  const [quick, slow, gone] = [new FakeWorker(), new FakeWorker(), new FakeWorker()]
  const sockets = Array.from({ length: 3 }, fakeSocket) as PassThrough[]
  for (const [i, worker] of [quick, slow, gone].entries()) {
    dispatcher.add(worker)
    dispatcher.dispatch(0, sockets[i] as never)
  }
  dispatcher.confirm(quick, quick.given[0]!)
  dispatcher.remove(gone)
  await clock.tick(59_999)
  t.strictSame(hanging, [])
  await clock.tick(1)
  t.strictSame(hanging, [slow])
  t.ok(
    sockets.every(socket => socket.destroyed),
    'no client waits',
  )
  t.equal(clock.timers, 0)
})
