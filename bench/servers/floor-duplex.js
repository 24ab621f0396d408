// The floor for anything that is a Duplex: canned replies, mail data through a Readable. SEARCH says what is looked for
// in mail data: 'end', CRLF.CRLF once a chunk; 'lf', every LF, as who refuses bare newlines must.
import { createServer } from 'node:net'
import { Duplex, Readable } from 'node:stream'
import { cannedReply, findEnd, findEndByLines, GREETING, OK } from './canned.js'
import { discard, listening } from './received.js'

const find = process.env.SEARCH === 'lf' ? findEndByLines : findEnd

class Floor extends Duplex {
  #body = null
  #rest = ''
  #waiting = null

  constructor() {
    super()
    this.push(GREETING)
  }

  _read() {}

  _write(chunk, _encoding, done) {
    if (this.#body === null) return this.#commands(chunk, done)
    const next = find(chunk)
    if (next === -1) {
      if (this.#body.push(chunk)) done()
      else this.#waiting = done
      return
    }
    this.#body.push(chunk.subarray(0, Math.max(0, next - 3)))
    this.#body.push(null)
    this.#body = null
    this.push(OK)
    this.#commands(chunk.subarray(next), done)
  }

  #commands(chunk, done) {
    const lines = (this.#rest + chunk.toString('latin1')).split('\r\n')
    this.#rest = lines.pop()
    let replies = ''
    let ends = false
    for (const line of lines) {
      const reply = cannedReply(line)
      replies += reply.text
      ends ||= reply.ends
      if (reply.data) this.#begin()
    }
    if (replies !== '') this.push(replies)
    if (ends) this.push(null)
    done()
  }

  #begin() {
    this.#body = new Readable({
      read: () => {
        const done = this.#waiting
        this.#waiting = null
        done?.()
      },
    })
    discard(this.#body, () => {})
  }

  _final(done) {
    this.push(null)
    done()
  }
}

createServer(socket => {
  socket.setNoDelay(true)
  socket.on('error', () => {})
  const floor = new Floor()
  floor.on('error', () => {})
  socket.pipe(floor).pipe(socket)
}).listen(0, '127.0.0.1', 4096, function () {
  listening(this.address().port)
})
