// Programs of a run: `mailhandler serve` with workers, and an upstream.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../dist/test/fixtures/free-port.js'

const MAIN = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url))
const UPSTREAM = fileURLToPath(new URL('upstream.js', import.meta.url))
const WORKERS = 2
const PATIENCE = 30_000
const RELOADED = '"msg":"reloaded"'
const NOT_RELOADED = '"problems":'

/** An upstream, `smtp` or `lmtp`: one process after the other on the same port. */
export class Upstream {
  /** When each process was killed. */
  kills = []
  #place
  #folder
  #count = 0
  #child = null
  #port = 0

  constructor(place, folder) {
    this.#place = place
    this.#folder = join(folder, place)
  }

  get port() {
    return this.#port
  }

  async start() {
    if (this.#port === 0) this.#port = await freePort()
    this.#count++
    const child = fork(UPSTREAM, [this.#place, this.#folder, this.#name, String(this.#port)])
    this.#child = child
    child.once('exit', code => {
      if (this.#child === child) throw new Error(`the upstream ${this.#place} ended by itself: ${code}`)
    })
    const [{ error }] = await once(child, 'message')
    if (error !== undefined) throw new Error(`the upstream cannot start: ${error}`)
  }

  async kill() {
    const child = this.#child
    if (child === null) return
    this.#child = null
    this.kills.push({ process: this.#name, at: Date.now() })
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Stops it, or lets it go on: `SIGSTOP`, `SIGCONT`. */
  signal(name) {
    this.#child.kill(name)
  }

  /** Of the process that runs: `smtp-3`. */
  get #name() {
    return `${this.#place}-${this.#count}`
  }
}

/** `mailhandler serve` with two workers. */
export class Service {
  name
  /** A port for each `[[listen]]`. */
  ports = []
  /** When which worker was killed. */
  kills = []
  #toml
  #config
  #log
  #child = null
  #stopping = false
  #env

  /** `toml(choices)` returns the lines of its configuration; `env` is added to its environment. */
  constructor(name, folder, toml, env = {}) {
    this.name = name
    this.#toml = toml
    this.#env = env
    this.#config = join(folder, `${name}.toml`)
    this.#log = join(folder, `${name}.log`)
    process.once('exit', () => this.#child?.kill('SIGKILL'))
  }

  async start() {
    this.configure()
    this.#stopping = false
    const log = openSync(this.#log, 'w')
    const options = { stdio: ['ignore', log, log], env: { ...process.env, ...this.#env } }
    this.#child = spawn(process.execPath, [MAIN, 'serve', '--config', this.#config], options)
    closeSync(log)
    this.#child.once('exit', code => {
      if (!this.#stopping) throw new Error(`${this.name} ended by itself: ${code}\n${this.log().slice(-2000)}`)
    })
    for (;;) {
      const listening = /"listening on ([^"]*)"/.exec(this.log())
      if (listening !== null) {
        this.ports = [...listening[1].matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port))
        return
      }
      await pause(50)
    }
  }

  /** Writes the configuration: good, with another banner and other choices, or with an error. */
  configure({ banner = 'first', isBad = false, ...choices } = {}) {
    const workers = isBad ? '"many"' : WORKERS
    const lines = [`name = "${this.name}.example"`, `banner = "${banner}"`, `workers = ${workers}`, this.#toml(choices)]
    writeFileSync(this.#config, `${lines.flat().join('\n')}\n`)
  }

  /** Sends SIGHUP, and waits until the log of the primary says what came of it. */
  async reload(choices) {
    const said = choices.isBad ? NOT_RELOADED : RELOADED
    const count = () => this.log().split(`"pid":${this.#child.pid},${said}`).length
    const before = count()
    this.configure(choices)
    this.#child.kill('SIGHUP')
    for (const end = Date.now() + PATIENCE; count() === before; await pause(50)) {
      if (Date.now() > end) throw new Error(`${this.name} does not say ${said} after SIGHUP`)
    }
  }

  log() {
    return readFileSync(this.#log, 'utf8')
  }

  /** The ids of the messages in whose sessions the log says that the store has failed. */
  storeFailures() {
    const lines = this.log().split('\n')
    const sessionsOf = text => lines.filter(line => line.includes(text)).map(line => JSON.parse(line))
    const failed = new Set(sessionsOf('"msg":"the store has failed"').map(({ session }) => session))
    const transactions = sessionsOf('"msg":"transaction"').filter(({ session }) => failed.has(session))
    return [...new Set(transactions.map(({ sender }) => sender.split('@')[0]))]
  }

  /** The processes of the workers: those whose parent is the primary, without those that have just died. */
  workers() {
    const all = readdirSync('/proc').filter(name => /^\d+$/.test(name))
    const isWorker = text => text.includes(`\nPPid:\t${this.#child.pid}\n`) && !text.includes('\nState:\tZ')
    return all.map(Number).filter(pid => isWorker(status(pid)))
  }

  /** Kills a worker. */
  killWorker(pid) {
    this.kills.push({ process: pid, at: Date.now() })
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
    const child = this.#child
    if (child === null) return
    this.#stopping = true
    this.#child = null
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 45_000)
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
