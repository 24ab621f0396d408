// An upstream: stores each message durably before its 250. Run by scripts/soak.js.
//
//   node upstream.js smtp|lmtp FOLDER PROCESS PORT     sends a message to its parent once it listens
//
// A file in new/ begins with a line of JSON that says whose it is; the mail data follows. By LMTP each recipient has a
// verdict of its own, one behind the other: `gone…` is refused for good, `busy…` now and then for now.

import { mkdirSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { reply, SmtpHandler } from '../../dist/lib/index.js'
import { createServer } from '../../dist/lib/server/index.js'

const [place, folder, name, port] = process.argv.slice(2)
const lmtp = place === 'lmtp'
const delivery = { onRcptTo, onMessage: lmtp ? storeForEach : storeForAll }
const OPTIONS = { name: `${place}.example`, lmtp, limits: { recipients: 50 }, delivery }
const BUSY = 0.4
/** Milliseconds between two verdicts, at the most: the process may be killed there. */
const BETWEEN = 20
const GONE = reply(552, '5.2.2', 'The mailbox is full')
const LATER = reply(452, '4.2.2', 'The mailbox is full for now')
let count = 0

for (const each of ['tmp', 'new']) mkdirSync(join(folder, each), { recursive: true })

function onRcptTo({ address }) {
  return address.startsWith('nobody') ? reply(550, '5.1.1', 'No such mailbox here') : undefined
}

async function storeForAll(message, { envelope }) {
  const file = await store(
    message,
    envelope,
    envelope.recipients.map(({ address }) => address),
  )
  return reply(250, '2.0.0', `Stored as ${file}`)
}

async function* storeForEach(message, { envelope }) {
  const replies = envelope.recipients.map(({ address }) => {
    if (address.startsWith('gone')) return GONE
    return address.startsWith('busy') && Math.random() < BUSY ? LATER : reply(250, '2.0.0', `Stored for ${address}`)
  })
  const served = envelope.recipients.filter((_, i) => replies[i].positive).map(({ address }) => address)
  if (served.length > 0) await store(message, envelope, served)
  else for await (const _ of message);
  for (const each of replies) {
    yield each
    await pause(Math.random() * BETWEEN)
  }
}

async function store(message, { sender }, recipients) {
  const file = `${name}.${++count}`
  const handle = await open(join(folder, 'tmp', file), 'wx')
  try {
    await handle.write(`${JSON.stringify({ id: sender.address.split('@')[0], recipients, place, process: name })}\n`)
    for await (const chunk of message) await handle.writeFile(chunk)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(join(folder, 'tmp', file), join(folder, 'new', file))
  const directory = await open(join(folder, 'new'))
  await directory.sync().finally(() => directory.close())
  return file
}

process.once('disconnect', () => process.exit(1)) // The run is gone.
const server = createServer({ perClient: { except: ['127.0.0.0/8'] } }, () => new SmtpHandler(OPTIONS))
server.on('error', error => {
  process.send({ error: error.message })
})
server.listen(Number(port), '127.0.0.1', () => process.send({}))
