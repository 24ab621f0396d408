// Clients that send one large mail each as fast as the server takes it.

import { once } from 'node:events'
import { connect } from 'node:net'
import { reply } from './connections.js'

const LINE = Buffer.from(`${'X'.repeat(76)}\r\n`.repeat(840)) // about 64 KiB

/** Sends `count` mails at once; `sent()` says how many octets have left this process, `done` resolves when all are taken. */
export function sendAtOnce(port, count, octets) {
  const sockets = Array.from({ length: count }, () => connect({ port, host: '127.0.0.1', noDelay: true }))
  return {
    sent: () => sockets.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0),
    done: Promise.all(sockets.map(socket => sendMail(socket.setEncoding('latin1'), octets))),
  }
}

async function sendMail(socket, octets) {
  await reply(socket, 220)
  for (const command of ['EHLO bench.example', 'MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.org>']) {
    socket.write(`${command}\r\n`)
    await reply(socket, 250)
  }
  socket.write('DATA\r\n')
  await reply(socket, 354)
  socket.write('Subject: bench\r\n\r\n')
  for (let sent = 0; sent < octets; sent += LINE.length) {
    if (!socket.write(LINE)) await once(socket, 'drain')
  }
  socket.write('.\r\n')
  await reply(socket, 250)
  socket.end('QUIT\r\n')
  await once(socket, 'close')
}
