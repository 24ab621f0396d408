// The processes of a run: the gateway with its workers, and the upstream.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { reservePort } from './ports.js'

const MAIN = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url))
const UPSTREAM = fileURLToPath(new URL('upstream.js', import.meta.url))
const WORKERS = 2
/** The networks of the senders: those for benchmarks, so that nobody is asked about them. [RFC 2544] */
const CLIENTS = '198.18.0.0/15'

/** The upstream: one process after the other on the same port. */
export class Upstream {
  /** When each process was killed. */
  kills = []
  generation = 0
  #folder
  #child = null
  #port = 0

  constructor(folder) {
    this.#folder = folder
  }

  get port() {
    return this.#port
  }

  get isRunning() {
    return this.#child !== null
  }

  async start() {
    if (this.#port === 0) this.#port = await reservePort()
    const child = fork(UPSTREAM, [this.#folder, String(++this.generation), String(this.#port)])
    this.#child = child
    child.once('exit', code => {
      if (this.#child === child) throw new Error(`the upstream ended by itself: ${code}`)
    })
    const [{ error }] = await once(child, 'message')
    if (error !== undefined) throw new Error(`the upstream cannot start: ${error}`)
  }

  async kill() {
    const child = this.#child
    this.#child = null
    this.kills.push({ generation: this.generation, at: Date.now() })
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Stops it, or lets it go on: `SIGSTOP`, `SIGCONT`. */
  signal(name) {
    this.#child.kill(name)
  }
}

/** `mailhandler serve` with workers, in front of the upstream. */
export class Gateway {
  port = 0
  /** When a worker was killed. */
  deaths = []
  #config
  #log
  #child = null
  #stopping = false
  #upstreamPort
  #store

  /** `redis`: the address of the store; null for SQLite. */
  constructor(folder, { upstreamPort, redis }) {
    this.#config = join(folder, 'mailhandler.toml')
    this.#log = join(folder, 'gateway.log')
    this.#upstreamPort = upstreamPort
    this.#store = redis === null ? `file = "greylist.db"` : `redis = "${redis}"`
  }

  async start() {
    this.configure()
    const log = openSync(this.#log, 'a')
    this.#child = spawn(process.execPath, [MAIN, 'serve', '--config', this.#config], { stdio: ['ignore', log, log] })
    closeSync(log)
    process.once('exit', () => this.#child.kill('SIGKILL'))
    this.#child.once('exit', code => {
      if (!this.#stopping) throw new Error(`the gateway ended by itself: ${code}\n${this.log().slice(-2000)}`)
    })
    while (this.port === 0) {
      this.port = Number(/listening on 127\.0\.0\.1:(\d+)/.exec(this.log())?.[1] ?? 0)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  /** Writes the configuration: good, with another banner and another `onStoreError`, or with an error. */
  configure({ banner = 'first', onStoreError = 'accept', isBad = false } = {}) {
    const lines = [
      `name = "gateway.example"`,
      `banner = "${banner}"`,
      `workers = ${isBad ? '"many"' : WORKERS}`,
      `[recipients]`,
      `domains = ["soak.example"]`,
      `[per_client]`,
      `except = ["127.0.0.0/8", "${CLIENTS}"]`,
      `[greylist]`,
      this.#store,
      `salt = "salt"`,
      `hold = "all"`,
      `delay = "500ms"`,
      `on_store_error = "${onStoreError}"`,
      `[suspicion]`,
      `timeout = "50ms"`,
      `[[listen]]`,
      `address = "127.0.0.1:0"`,
      `proxy = ["127.0.0.0/8"]`,
      `[upstream]`,
      `address = "127.0.0.1:${this.#upstreamPort}"`,
      `[upstream.pool]`,
      `idle = "1s"`,
      `[upstream.circuit]`,
      `pause = "500ms"`,
    ]
    writeFileSync(this.#config, `${lines.join('\n')}\n`)
  }

  reload() {
    this.#child.kill('SIGHUP')
  }

  log() {
    return readFileSync(this.#log, 'utf8')
  }

  /** The processes of the workers: those whose parent is the gateway. */
  workers() {
    const all = readdirSync('/proc').filter(name => /^\d+$/.test(name))
    return all.map(Number).filter(pid => Number(/^PPid:\t(\d+)$/m.exec(status(pid))?.[1]) === this.#child.pid)
  }

  killWorker(pid) {
    this.deaths.push(Date.now())
    process.kill(pid, 'SIGKILL')
  }

  /** What the primary and its workers hold. */
  usage() {
    return [this.#child.pid, ...this.workers()].map(pid => {
      const rss = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status(pid))?.[1] ?? 0) / 1024
      const links = descriptors(pid)
      return {
        MiB: Math.round(rss),
        descriptors: links.length,
        sockets: links.filter(to => to.startsWith('socket:')).length,
      }
    })
  }

  async stop() {
    this.#stopping = true
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 45_000)
    await ended
    clearTimeout(timer)
  }
}

function status(pid) {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1')
  } catch {
    return '' // It has ended.
  }
}

function descriptors(pid) {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap(name => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${name}`)]
      } catch {
        return []
      }
    })
  } catch {
    return []
  }
}
