// WORKERS processes of mailhandler.js behind one port, through node:cluster.
import cluster from 'node:cluster'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const WORKERS = Number(process.env.WORKERS)
const total = { messages: 0, octets: 0 }
let listening = 0
let counted = 0

cluster.setupPrimary({ exec: fileURLToPath(new URL('mailhandler.js', import.meta.url)), silent: true })
cluster.on('listening', (_worker, { port }) => {
  listening += 1
  if (listening === WORKERS) console.log(port)
})
for (let number = 0; number < WORKERS; number += 1) {
  const { process: child } = cluster.fork()
  child.stderr.pipe(process.stderr)
  createInterface({ input: child.stdout }).on('line', add)
}

process.on('SIGUSR2', () => {
  Object.assign(total, { messages: 0, octets: 0 })
  counted = 0
  for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGUSR2')
})

function add(line) {
  if (!line.startsWith('{')) return
  const { messages, octets } = JSON.parse(line)
  total.messages += messages
  total.octets += octets
  counted += 1
  if (counted === WORKERS) console.log(JSON.stringify(total))
}
