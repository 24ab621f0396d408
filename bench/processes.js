// Starts and stops servers, and reads from /proc what they cost: user and system time of a process with all its threads
// and children, and resident memory.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** A path beside this file. */
export const here = path => fileURLToPath(new URL(path, import.meta.url))

/** Starts one of servers.js and waits until it listens. */
export async function start({ command = process.execPath, args, env = {}, needsPort = false, silent = false }) {
  const port = needsPort ? await freePort() : null
  const child = spawn(
    command,
    args.map(arg => (arg === 'PORT' ? `127.0.0.1:${port}` : arg)),
    { cwd: here('.'), env: { ...process.env, ...env, PORT: port }, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const server = { child, pid: child.pid, port, output: '', silent }
  child.stdout.setEncoding('latin1').on('data', text => (server.output = (server.output + text).slice(-4096)))
  const listens = silent ? () => accepts(port) : () => /^\d+$/m.test(server.output)
  try {
    await until(listens, `${args.join(' ')} does not listen`)
  } catch (error) {
    await stop(server)
    throw error
  }
  server.port ??= Number(/^\d+$/m.exec(server.output)[0])
  return server
}

/** Ends a server that {@link start} started. */
export async function stop({ child, end }) {
  if (end !== undefined) return end()
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 1000)
  await gone
  clearTimeout(late)
}

/** The messages and octets that a server has received, by its own count. */
export async function received(server) {
  // smtp-sink -c shows how many messages there were; octets it does not count.
  if (server.silent) return { messages: Number(server.output.match(/\d+/g)?.at(-1) ?? 0), octets: null }
  server.output = ''
  server.child.kill('SIGUSR2')
  await until(() => server.output.includes('}'), 'a server does not say what it has received')
  return JSON.parse(server.output)
}

/** CPU seconds of a process, its threads and its children so far, its resident KiB, and the page faults of the process. */
export function usage(pid) {
  let nanoseconds = 0
  const faults = Number(read(`/proc/${pid}/stat`).split(') ').at(-1).split(' ')[7] ?? 0) // minflt [proc(5)]
  let rss = Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0)
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0])
    for (const child of read(`/proc/${pid}/task/${thread}/children`).match(/\d+/g) ?? []) {
      const inner = usage(child)
      nanoseconds += inner.cpu * 1e9
      rss += inner.rss
    }
  }
  return { cpu: nanoseconds / 1e9, rss, faults }
}

/** Waits for something to come true, ten seconds at most. */
export async function until(test, complaint) {
  const deadline = performance.now() + 10_000
  while (!(await test())) {
    if (performance.now() > deadline) throw new Error(complaint)
    await pause(10)
  }
}

function read(file) {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return '' // of a thread that has just ended
  }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

export async function accepts(port) {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
