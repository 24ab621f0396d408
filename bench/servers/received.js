// What the servers share: they discard mail, count what they got, print their port on a line of its own, and the count
// whenever SIGUSR2 asks for it.

import { setTimeout as pause } from 'node:timers/promises'

/** Octets a second at which mail is read, for the slow consumer; 0: as fast as it comes. */
const RATE = Number(process.env.RATE ?? 0)

const received = { messages: 0, octets: 0 }

/** Reads a message to its end and forgets it. */
export function discard(stream, done) {
  const began = performance.now()
  let octets = 0
  stream.on('data', chunk => {
    octets += chunk.length
    received.octets += chunk.length
    if (RATE > 0) throttle(stream, (octets / RATE) * 1000 - (performance.now() - began))
  })
  stream.once('end', () => {
    received.messages += 1
    done()
  })
}

/** For servers that hold a message in memory. */
export function count(octets) {
  received.messages += 1
  received.octets += octets
}

/** Says that the server listens. */
export function listening(port) {
  process.on('SIGUSR2', report)
  process.once('SIGTERM', () => process.exit()) // in good order, so that --cpu-prof writes its file
  console.log(port)
}

async function report() {
  // Only with --expose-gc, for memory: garbage is none of a connection's.
  for (let times = 0; globalThis.gc !== undefined && times < 3; times += 1) {
    globalThis.gc()
    await pause(50)
  }
  console.log(JSON.stringify(received))
}

function throttle(stream, milliseconds) {
  if (milliseconds < 5) return
  stream.pause()
  setTimeout(() => stream.resume(), milliseconds)
}
