// The command as a program of one's own: the same configuration, logs, metrics, workers and signals, with a policy and a
// delivery written here.

import { reply, type Delivery, type Policy } from 'mailhandler'
import { serve } from 'mailhandler/serve'

/** Refuses mail without a sender. */
const named: Policy = {
  name: 'named',
  onMailFrom({ address }) {
    if (address === '') return reply(550, '5.7.1', 'Bounces are not taken here')
  },
}

/** Prints the subject of each message, and drops the rest. */
const printing: Delivery = {
  name: 'printing',
  async onMessage(message, { envelope }) {
    let head = ''
    for await (const chunk of message) if (head.length < 10_000) head += String(chunk)
    console.log(`${envelope.sender.address}: ${/^Subject: (.*)$/im.exec(head)?.[1]?.trim() ?? 'no subject'}`)
    return reply(250, '2.0.0', 'Printed')
  },
}

const config = process.env['CONFIG']
const listen = [{ address: `127.0.0.1:${process.env['PORT'] ?? 2525}` }]
process.exitCode = await serve({
  ...(config === undefined ? {} : { config }),
  settings: { listen },
  policies: [named],
  delivery: printing,
})
