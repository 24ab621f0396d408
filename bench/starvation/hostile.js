// Hostile clients of bench/starvation.js: node hostile.js PORT SHAPE CONNECTIONS. Each opens another connection when it is
// cut off, and sends as fast as the server takes it.

import { connect } from 'node:net'
import { SHAPES } from './shapes.js'

const [port, name, connections] = process.argv.slice(2)
const shape = SHAPES[name] ?? null
/** Octets of a write of a shape that does not say how many. */
const SIZE = 16_384
const sent = { octets: 0, connections: 0 }

function attack() {
  sent.connections += 1
  const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: '127.0.0.1', noDelay: true })
  const { begin, again, size = SIZE, waits = false, closes = false } = shape
  const octets =
    again === '' || size < SIZE ? Buffer.from(again) : Buffer.from(again.repeat(Math.ceil(SIZE / again.length)))
  let step = 0
  let at = 0
  const flood = () => {
    for (let i = 0; i < 64 && !socket.destroyed; i++) {
      const piece = size < octets.length ? octets.subarray(at, at + size) : octets
      at = (at + size) % octets.length
      sent.octets += piece.length
      if (!socket.write(piece)) return
    }
    setImmediate(flood)
  }
  socket.on('error', () => {})
  socket.on('drain', flood)
  socket.on('data', () => {
    if (closes) return socket.destroy()
    if (step < begin.length) socket.write(begin[step++])
    else if (waits) {
      sent.octets += again.length
      socket.write(again)
    } else if (step === begin.length) {
      step += 1
      flood()
    }
  })
  socket.on('close', () => setTimeout(attack, 20))
}

if (shape !== null) for (let i = 0; i < Number(connections); i++) attack()
process.on('message', () => process.send(sent))
process.send('ready')
