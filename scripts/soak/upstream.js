// The upstream: stores each message durably before its 250. Run by scripts/soak.js.
//
//   node upstream.js FOLDER GENERATION PORT     prints its port once it listens
//
// A file in new/ begins with a line of JSON that says whose it is; the mail data follows.

import { mkdirSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { reply, SmtpHandler } from '../../dist/lib/index.js'
import { createServer } from '../../dist/lib/server/index.js'

const [folder, generation, port] = process.argv.slice(2)
const OPTIONS = { name: 'upstream.example', limits: { recipients: 50 }, delivery: { onRcptTo, onMessage } }
let count = 0

for (const name of ['tmp', 'new']) mkdirSync(join(folder, name), { recursive: true })

function onRcptTo({ address }) {
  return address.startsWith('nobody') ? reply(550, '5.1.1', 'No such mailbox here') : undefined
}

async function onMessage(message, { envelope }) {
  const name = `${generation}.${++count}`
  const [id, attempt] = envelope.sender.address.split('@')[0].split('+')
  const recipients = envelope.recipients.map(({ address }) => address)
  const handle = await open(join(folder, 'tmp', name), 'wx')
  try {
    await handle.write(
      `${JSON.stringify({ id, attempt: Number(attempt), recipients, generation: Number(generation) })}\n`,
    )
    for await (const chunk of message) await handle.writeFile(chunk)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(join(folder, 'tmp', name), join(folder, 'new', name))
  const directory = await open(join(folder, 'new'))
  await directory.sync().finally(() => directory.close())
  return reply(250, '2.0.0', `Stored as ${name}`)
}

process.once('disconnect', () => process.exit(1)) // The run is gone.
const server = createServer({ perClient: { except: ['127.0.0.0/8'] } }, () => new SmtpHandler(OPTIONS))
server.on('error', error => {
  process.send({ error: error.message })
})
server.listen(Number(port), '127.0.0.1', () => process.send({ port: server.address().port }))
