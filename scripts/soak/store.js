// The store of greylisting: a Redis that keeps what it acknowledged, one process after the other on the same port.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { client } from '../../dist/test/fixtures/clients.js'
import { freePort } from '../../dist/test/fixtures/free-port.js'

/** Milliseconds in which it answers after its start. */
const PATIENCE = 30_000

/** The program; null if the machine has none: then SQLite is the store, and is not killed. */
export const redisServer = client('redis-server')

/** A redis-server. */
export class RedisStore {
  #folder
  #port = 0
  #child = null

  constructor(folder) {
    this.#folder = folder
    process.once('exit', () => this.#child?.kill('SIGKILL'))
  }

  get url() {
    return `redis://127.0.0.1:${this.#port}`
  }

  async start() {
    mkdirSync(this.#folder, { recursive: true })
    if (this.#port === 0) this.#port = await freePort()
    const options = {
      port: this.#port,
      bind: '127.0.0.1',
      dir: this.#folder,
      save: '',
      appendonly: 'yes',
      appendfsync: 'always', // what it has acknowledged survives a kill
      loglevel: 'warning',
    }
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
    const child = spawn(redisServer, args, { stdio: 'ignore' })
    this.#child = child
    child.once('exit', code => {
      if (this.#child === child) throw new Error(`redis-server ended by itself: ${code}`)
    })
    await this.#answers()
  }

  async kill() {
    const child = this.#child
    if (child === null) return
    this.#child = null
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Stops it, or lets it go on: `SIGSTOP`, `SIGCONT`. */
  signal(name) {
    this.#child.kill(name)
  }

  /** Waits until it answers. */
  async #answers() {
    const end = Date.now() + PATIENCE
    while ((await this.#ask('PING')) !== '+PONG') {
      if (Date.now() > end) throw new Error('redis-server does not answer')
      await pause(20)
    }
  }

  /** The first line of the reply to a command; empty if there is none. */
  async #ask(command) {
    const socket = connect(this.#port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      socket.write(`${command}\r\n`)
      const [data] = await once(socket, 'data')
      return data.toString('latin1').split('\r\n')[0]
    } catch {
      return ''
    } finally {
      socket.destroy()
    }
  }
}
