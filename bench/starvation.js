// Fifty hostile connections from one address, a shape of input after the other; an honest client at another address sends a
// mail now and then. How long does its mail take?
//
//   npm run build && node bench/starvation.js --seconds 4
//     --seconds N     for each shape
//     --only 'A;B'     these shapes
//
//   starvation/hostile.js × 50 connections, 127.0.0.1 ─→ starvation/server.js ←─ here, 127.0.1.x
//
// Server and hostile clients are processes of their own. A shape's cost is the processor time of the server by what it was
// sent. `processor ms` is what the server's process worked from the greeting to the verdict: on a machine that has a
// processor for it that is the time, and a machine that is busy with other things does not change it. Linux only: 127.0.1.x is this machine too.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { cpus } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SHAPES } from './starvation/shapes.js'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '4' }, only: { type: 'string' } } })
const CONNECTIONS = 50
const PROMISE = 100

const start = (name, parameters = []) =>
  fork(fileURLToPath(new URL(`starvation/${name}.js`, import.meta.url)), parameters)

async function ask(child, message) {
  child.send(message)
  return (await once(child, 'message'))[0]
}

let mails = 0

/** Milliseconds from the connection to the 250 of one mail. Each comes from an address of its own: none is too often there. */
async function honestMail(port) {
  const started = performance.now()
  const localAddress = `127.0.1.${1 + (mails++ % 250)}`
  const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true })
  const steps = [
    'EHLO client.example\r\n',
    'MAIL FROM:<a@client.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n',
    'Subject: x\r\n\r\nx\r\n.\r\n',
    'QUIT\r\n',
  ]
  const ends = [/^220 /m, /^250 /m, /^354 /m, /^250 /m]
  let text = ''
  let step = 0
  let time = NaN
  socket.on('error', () => {})
  socket.on('data', data => {
    text += data
    if (step === ends.length || !ends[step].test(text)) return
    if (step === ends.length - 1) time = performance.now() - started
    text = ''
    socket.write(steps[step++])
  })
  await once(socket, 'close')
  return time
}

async function run(name) {
  const server = start('server')
  const [{ port }] = await once(server, 'message')
  for (let i = 0; i < 20; i++) await honestMail(port) // the server is warm
  const hostile = start('hostile', [String(port), name, String(CONNECTIONS)])
  await once(hostile, 'message')
  await pause(200)
  const [before, sent] = [await ask(server, 'used'), await ask(hostile, 'sent')]
  const until = performance.now() + Number(values.seconds) * 1000
  const times = []
  while (performance.now() < until) {
    times.push(await honestMail(port))
    await pause(20)
  }
  const [after, sentThen] = [await ask(server, 'used'), await ask(hostile, 'sent')]
  const ended = [once(server, 'exit'), once(hostile, 'exit')]
  for (const child of [server, hostile]) child.kill('SIGKILL')
  await Promise.all(ended)
  times.sort((a, b) => a - b)
  const waits = after.waits.map(each => each / 1000).toSorted((a, b) => a - b)
  const kibibytes = (sentThen.octets - sent.octets) / 1024
  return {
    shape: name,
    'µs a KiB': kibibytes < 1 ? '–' : Math.round((after.cpu - before.cpu) / kibibytes),
    'KiB a second': Math.round(kibibytes / Number(values.seconds)),
    connections: sentThen.connections - sent.connections + CONNECTIONS,
    'honest mails': times.length,
    'median ms': round(times[times.length >> 1]),
    'worst ms': round(times.at(-1)),
    'median, processor ms': round(waits[waits.length >> 1] ?? NaN),
    'worst, processor ms': round(waits.at(-1) ?? NaN),
    failed: times.filter(Number.isNaN).length,
  }
}

const round = number => Math.round(number * 10) / 10

console.log(
  `node ${process.version}, ${cpus().length} processors, ${CONNECTIONS} hostile connections, ${values.seconds} s a shape`,
)
const rows = []
const names = values.only?.split(';') ?? ['nothing', ...Object.keys(SHAPES)]
for (const name of names) rows.push(await run(name))
const keys = Object.keys(rows[0])
console.log(`| ${keys.join(' | ')} |\n|${' --- |'.repeat(keys.length)}`)
for (const row of rows) console.log(`| ${keys.map(key => row[key]).join(' | ')} |`)
const late = rows.filter(row => row['worst, processor ms'] > PROMISE || row.failed > 0)
console.log(
  late.length === 0
    ? `no honest mail waited for more than ${PROMISE} ms of the processor`
    : `over ${PROMISE} ms of the processor: ${late.map(({ shape }) => shape).join('; ')}`,
)
