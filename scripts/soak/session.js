// A client's side of one connection, written without lib/: a fault of lib/client cannot hide a fault of the gateway.

import { once } from 'node:events'
import { connect } from 'node:net'

/** Milliseconds without a reply, or without progress, after which the client leaves. */
const PATIENCE = 90_000
const TOO_LATE = 'no progress in time'

/** The connection is gone, or the client left because no reply came. */
export class Lost extends Error {}

/** A connection on which commands are written and replies awaited in turn. */
export class Session {
  #socket
  #text = ''
  #lines = []
  #replies = []
  #waiting = []
  #gone = null

  /** `SMTP` or `LMTP`. */
  protocol
  /** What the server offers, once EHLO was answered. */
  offer = new Set()
  isGreeted = false

  /** `from`: the address of the client, which a PROXY header tells: clients on the loopback are never greylisted. */
  constructor({ port, protocol, from }) {
    this.protocol = protocol
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    if (from !== undefined) this.#socket.write(`PROXY TCP4 ${from} 127.0.0.1 4711 25\r\n`)
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', text => this.#receive(text))
    this.#socket.on('error', error => this.#lose(error.code ?? error.message))
    this.#socket.on('close', () => this.#lose('closed'))
    this.#socket.on('end', () => this.#lose('ended'))
  }

  get isOpen() {
    return this.#gone === null
  }

  /** True if a reply is there that nothing waits for. */
  get hasReply() {
    return this.#replies.length > 0
  }

  /** Resolves with the next reply; rejects with Lost. */
  reply() {
    if (this.#replies.length > 0) return Promise.resolve(this.#replies.shift())
    if (this.#gone !== null) return Promise.reject(this.#gone)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#lose(TOO_LATE), PATIENCE)
      this.#waiting.push({ resolve, reject, timer })
    })
  }

  command(line) {
    this.#socket.write(`${line}\r\n`)
    return this.reply()
  }

  /** Writes several commands at once; resolves with their replies. */
  async pipeline(lines) {
    this.#socket.write(lines.map(line => `${line}\r\n`).join(''))
    const replies = []
    for (const _ of lines) replies.push(await this.reply())
    return replies
  }

  /** Writes octets; resolves once the socket takes more. Rejects with Lost. */
  async write(data) {
    if (this.#gone !== null) throw this.#gone
    if (this.#socket.write(data)) return
    const left = new AbortController()
    const timer = setTimeout(() => this.#lose(TOO_LATE), PATIENCE)
    try {
      const options = { signal: left.signal }
      await Promise.race([once(this.#socket, 'drain', options), once(this.#socket, 'close', options)])
    } catch (error) {
      throw this.#gone ?? new Lost(error.code ?? error.message)
    } finally {
      clearTimeout(timer)
      left.abort()
    }
    if (this.#gone !== null) throw this.#gone
  }

  async quit() {
    await this.command('QUIT').catch(() => {})
    this.leave()
  }

  /** Closes the connection, after what was written. */
  leave() {
    this.#lose('left')
    this.#socket.end()
    setTimeout(() => this.#socket.destroy(), 1000).unref()
  }

  /** Ends the connection with an RST. */
  reset() {
    this.#lose('reset by the sender')
    this.#socket.resetAndDestroy()
  }

  #receive(text) {
    const lines = (this.#text + text).split('\r\n')
    this.#text = lines.pop()
    for (const line of lines) {
      this.#lines.push(line)
      if (line[3] === '-') continue
      const reply = { code: Number(line.slice(0, 3)), text: this.#lines.join('\n') }
      this.#lines = []
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#replies.push(reply)
      else {
        clearTimeout(waiting.timer)
        waiting.resolve(reply)
      }
    }
  }

  #lose(why) {
    if (this.#gone !== null) return
    this.#gone = new Lost(why)
    for (const { reject, timer } of this.#waiting.splice(0)) {
      clearTimeout(timer)
      reject(this.#gone)
    }
    if (why === TOO_LATE || why === 'ended') this.#socket.destroy()
  }
}
