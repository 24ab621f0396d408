// A sender: mixed traffic on several connections, and a queue that tries again what was not acknowledged, as that of a
// mail server does. Run by scripts/soak.js.
//
//   node sender.js PORTS SEED NAME LANES NETWORK
//
// PORTS are those for SMTP and LMTP, `2525,2424`. NETWORK, `198.18.1`, has the addresses that it comes from.
//
// Tells the run of each message and of each attempt to deliver it (accountant.js has their form). Ends after `stop`, once
// the queue is empty; after `leave`, at once.

import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { deliver, cutOff, flood } from './attempt.js'
import { makeMessage } from './message.js'
import { chooseRecipients } from './places.js'
import { Random } from './random.js'
import { Session } from './session.js'

const [ports, seed, name, lanes, network] = process.argv.slice(2)
const PORTS = Object.fromEntries(ports.split(',').map((port, i) => [['SMTP', 'LMTP'][i], Number(port)]))
/** Of each lane, in turn. A message is tried again by the protocol of its first attempt, as a sender does. */
const PROTOCOLS = ['SMTP', 'LMTP', 'SMTP']
const KiB = 1024
const SIZES = { 1: [1, 4], 4: [4, 64], 64: [64, 512], 1024: [1024, 5 * 1024] }
const SIZE_WEIGHTS = { 1: 60, 4: 25, 64: 12, 1024: 3 }
const ACTIONS = { mail: 80, cut: 8, flood: 3 }
/** Messages that wait for another attempt, above which no new ones are made. */
const MAX_QUEUED = 40
const LONGEST_BACKOFF = 1500

const queue = []
let count = 0
let underWay = 0
let stopping = false
let leaving = false

process.on('message', order => {
  stopping = true
  if (order === 'leave') leaving = true
})
const orphaned = () => process.exit(1) // The run is gone.
process.once('disconnect', orphaned)

function newMessage(random, kind, protocol) {
  const [from, to] = SIZES[random.pick(SIZE_WEIGHTS)]
  const id = `${name}-${++count}`
  const size = random.whole(from * KiB, to * KiB)
  const recipients = chooseRecipients(random)
  const digest = createHash('sha256').update(makeMessage(id, size)).digest('hex')
  process.send({ message: { id, kind, size, digest, recipients } })
  return { id, size, protocol, recipients, left: recipients, attempt: 0, due: 0 }
}

/** The next message to deliver: one that is due again, or a new one; null if there is none now. */
function nextMessage(random, protocol) {
  const now = performance.now()
  const index = queue.findIndex(message => message.due <= now && message.protocol === protocol)
  if (index !== -1) return queue.splice(index, 1)[0]
  return stopping || queue.length >= MAX_QUEUED ? null : newMessage(random, 'mail', protocol)
}

async function tryMessage(session, message, random) {
  underWay++
  message.attempt++
  const result = await deliver(session, message, random)
  underWay--
  process.send({ attempt: result })
  const isSettled = ({ outcome, code }) => outcome === 'acknowledged' || code >= 500
  message.left = result.verdicts.filter(verdict => !isSettled(verdict)).map(({ recipient }) => recipient)
  if (message.left.length === 0) return
  message.due = performance.now() + Math.min(LONGEST_BACKOFF, 200 * 2 ** message.attempt) * (0.5 + random.next())
  queue.push(message)
}

function newSession(random, protocol) {
  return new Session({ port: PORTS[protocol], protocol, from: `${network}.${random.whole(1, 254)}` })
}

async function lane(random, protocol) {
  let session = null
  while (!leaving && !(stopping && queue.length === 0 && underWay === 0)) {
    const action = stopping ? 'mail' : random.pick(ACTIONS)
    if (session?.isOpen !== true) session = newSession(random, protocol)
    if (action === 'flood') await flood(session, random)
    else if (action === 'cut') await cutOff(session, newMessage(random, 'cut', protocol), random)
    else {
      const message = nextMessage(random, protocol)
      if (message !== null) await tryMessage(session, message, random)
    }
    if (session.isOpen && random.chance(0.2)) await session.quit()
    await pause(random.whole(5, 80))
  }
  if (session?.isOpen === true) await session.quit()
}

await Promise.all(
  Array.from({ length: Number(lanes) }, (_, i) => lane(new Random(Number(seed) + i), PROTOCOLS[i % PROTOCOLS.length])),
)
process.off('disconnect', orphaned)
process.send({ left: queue.length }, () => process.disconnect())
