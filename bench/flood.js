// An honest client beside clients that send RCPT without end: how long its mails take, alone, beside 1 flood and beside 40.
// One process serves, another floods, this one is honest. Run `npm run build` before.
//
//   node bench/flood.js [--seconds 5] [--floods 0,1,40] [--host-of DIST]

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const FILE = fileURLToPath(import.meta.url)

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    floods: { type: 'string', default: '0,1,40' },
    'host-of': { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) },
    role: { type: 'string', default: 'honest' },
    port: { type: 'string', default: '0' },
    count: { type: 'string', default: '0' },
  },
})

if (values.role === 'server') await serve()
else if (values.role === 'flood') flood(Number(values.port), Number(values.count))
else await measure()

async function serve() {
  const load = file => import(pathToFileURL(`${values['host-of']}/lib/${file}`).href)
  const [{ SmtpHandler }, { createServer }] = await Promise.all([load('index.js'), load('server/index.js')])
  const options = { name: 'mx.example', onMessage: message => void message.resume() }
  const limits = { perClient: { connections: 1000, perMinute: 1e6 } }
  const server = createServer(limits, () => new SmtpHandler(options))
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
  process.on('disconnect', () => process.exit())
}

/** Each connection sends RCPT as fast as it is taken, reads all replies, and begins again when it is cut. */
function flood(port, count) {
  const group = 'RCPT TO:<a@b.example>\r\n'.repeat(1000)
  const begin = () => {
    const socket = connect(port, '127.0.0.1')
    const pour = () => {
      while (!socket.destroyed && socket.write(group));
    }
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('EHLO flood.example\r\n')
      socket.once('data', () => {
        socket.write('MAIL FROM:<f@flood.example>\r\n')
        socket.once('data', pour)
        socket.on('drain', pour).resume()
      })
    })
    socket.once('close', () => setTimeout(begin, 10))
  }
  for (let i = 0; i < count; i++) begin()
  process.on('disconnect', () => process.exit())
}

async function measure() {
  const server = fork(FILE, ['--role', 'server', '--host-of', values['host-of']])
  const [{ port }] = await once(server, 'message')
  await mails(port, 1) // warm
  for (const count of values.floods.split(',').map(Number)) {
    const flooder = count > 0 ? fork(FILE, ['--role', 'flood', '--port', String(port), '--count', String(count)]) : null
    if (flooder !== null) await sleep(500)
    const times = (await mails(port, Number(values.seconds))).toSorted((a, b) => a - b)
    const at = part => times[Math.min(times.length - 1, Math.floor(times.length * part))].toFixed(1)
    console.log(`${count} floods: ${times.length} mails, median ${at(0.5)} ms, 95 % ${at(0.95)} ms, most ${at(1)} ms`)
    if (flooder !== null) {
      flooder.disconnect()
      await once(flooder, 'exit')
    }
  }
  server.disconnect()
}

/** Sends one mail after the other, a new connection each; resolves with the milliseconds of each. */
async function mails(port, seconds) {
  const times = []
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    const start = performance.now()
    await mail(port)
    times.push(performance.now() - start)
    await sleep(20)
  }
  return times
}

async function mail(port) {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  const lines = [
    'EHLO c',
    'MAIL FROM:<a@c.example>',
    'RCPT TO:<b@example.org>',
    'DATA',
    'Subject: x\r\n\r\nx\r\n.',
    'QUIT',
  ]
  let reply = ''
  for await (const chunk of socket) {
    reply += chunk
    if (!/^\d{3} .*\r\n$/m.test(reply)) continue
    if (!/^[23]/.test(reply)) throw new Error(reply)
    reply = ''
    const line = lines.shift()
    if (line !== undefined) socket.write(`${line}\r\n`)
  }
}
