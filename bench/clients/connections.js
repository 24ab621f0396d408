// Connections that say EHLO and then nothing, for as long as they are kept.

import { once } from 'node:events'
import { connect } from 'node:net'

const AT_ONCE = 100

/** Opens `count` of them; returns a function that closes them. */
export async function openConnections(port, count) {
  const sockets = []
  while (sockets.length < count) {
    const more = Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, () => greeted(port))
    sockets.push(...(await Promise.all(more)))
  }
  return async () => {
    await Promise.all(
      sockets.map(socket => {
        socket.destroy()
        return once(socket, 'close')
      }),
    )
  }
}

async function greeted(port) {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  await reply(socket, 220)
  socket.write('EHLO bench.example\r\n')
  await reply(socket, 250)
  return socket
}

/** Resolves with the last line of a reply, which must have the code. */
export function reply(socket, code) {
  let text = ''
  return new Promise((resolve, reject) => {
    const heard = chunk => {
      text += chunk
      const last = /^(\d\d\d) .*\r\n$/m.exec(text)
      if (last === null) return
      socket.off('data', heard).off('error', reject)
      if (Number(last[1]) === code) resolve(last[0])
      else reject(new Error(text))
    }
    socket.on('data', heard).on('error', reject)
  })
}
