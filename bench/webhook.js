// How much more memory a message takes if it goes to a webhook than if it is discarded: node bench/webhook.js [MIB]
//
// The server is a process of its own, as are the sender and the service; what is printed is the server's resident memory
// above what it had when it listened.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { SmtpHandler } from '../dist/lib/index.js'
import { createServer } from '../dist/lib/server/index.js'
import { webhook } from '../dist/lib/webhook.js'

const MIB = 2 ** 20
const [role = 'all', ...words] = process.argv.slice(2)

if (role === 'service') service()
else if (role === 'server') await server(words[0], words[1])
else await all(Number(role === 'all' ? 1024 : role))

function service() {
  const http = createHttpServer((request, response) => {
    request.resume().on('end', () => response.end())
  })
  http.requestTimeout = 0
  http.listen(0, '127.0.0.1', () => process.send(http.address().port))
}

async function server(mode, port) {
  const ways = {
    discard: { onMessage: message => void message.resume() },
    multipart: { delivery: webhook({ url: `http://127.0.0.1:${port}/`, secret: 'x' }) },
    raw: { delivery: webhook({ url: `http://127.0.0.1:${port}/`, secret: 'x', form: 'raw' }) },
  }
  const smtp = createServer({}, () => new SmtpHandler({ size: 0, ...ways[mode] })).listen(0, '127.0.0.1')
  await once(smtp, 'listening')
  const before = process.memoryUsage().rss
  let highest = before
  setInterval(() => (highest = Math.max(highest, process.memoryUsage().rss)), 5)
  process.on('message', () => process.send(Math.round((highest - before) / MIB)))
  process.send(smtp.address().port)
}

async function start(...args) {
  const child = fork(fileURLToPath(import.meta.url), args)
  const [answer] = await once(child, 'message')
  return { child, answer }
}

async function all(mib) {
  const http = await start('service')
  for (const mode of ['discard', 'multipart', 'raw']) {
    const smtp = await start('server', mode, http.answer)
    const began = performance.now()
    const verdict = await send(smtp.answer, mib)
    const seconds = (performance.now() - began) / 1000
    smtp.child.send('memory')
    const [growth] = await once(smtp.child, 'message')
    smtp.child.kill()
    console.log(`${mode.padEnd(10)} ${mib} MiB  ${verdict}  memory +${growth} MiB  ${(mib / seconds).toFixed(0)} MiB/s`)
  }
  http.child.kill()
}

async function send(port, mib) {
  const socket = connect(port, '127.0.0.1')
  let said = ''
  socket.on('data', octets => (said += octets))
  const reply = async count => {
    while ((said.match(/^\d{3} /gm) ?? []).length < count) await once(socket, 'data')
  }
  await reply(1)
  socket.write('EHLO x\r\n')
  await reply(2)
  socket.write('MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n')
  await reply(5)
  socket.write('Subject: x\r\n\r\n')
  const chunk = Buffer.from(`${'x'.repeat(76)}\r\n`.repeat(840))
  for (let sent = 0; sent < mib * MIB; sent += chunk.length) {
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  socket.write('\r\n.\r\nQUIT\r\n')
  await once(socket, 'close')
  return said.match(/^\d{3}/gm).at(-2)
}
