// LMTP behind Postfix: a folder for each user, a reply for each recipient.
//
//   main.cf:  virtual_mailbox_domains = example.org
//             virtual_transport = lmtp:inet:127.0.0.1:2424
//
// LMTP is not for the Internet: listen on the loopback address, or on a UNIX socket.

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { link, mkdir, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { reply, type Recipient, type Reply, type SmtpHandlerOptions } from 'mailhandler'
import { createServer } from 'mailhandler/server'

const FOLDER = process.env['FOLDER'] ?? 'mail'
const USERS = new Set((process.env['USERS'] ?? 'anna carl').split(' '))

const options: SmtpHandlerOptions = {
  lmtp: true,
  onRcptTo({ localPart }) {
    if (!USERS.has(localPart)) return reply(550, '5.1.1', 'No such user here')
  },
  async onMessage(message, { envelope }) {
    const unfinished = join(FOLDER, `.${envelope.id}`)
    await mkdir(FOLDER, { recursive: true })
    try {
      // Once for all recipients; each then gets a link to it.
      const file = createWriteStream(unfinished, { flush: true })
      await pipeline(message, file)
      if (!file.closed) await once(file, 'close')
      return await Promise.all(envelope.recipients.map(recipient => deliver(unfinished, recipient, envelope.id)))
    } finally {
      await rm(unfinished, { force: true })
    }
  },
}

/** One recipient's trouble is not that of the others: Postfix sends the message again for this one alone. */
async function deliver(file: string, { localPart }: Recipient, id: string): Promise<Reply> {
  try {
    await mkdir(join(FOLDER, localPart), { recursive: true })
    await link(file, join(FOLDER, localPart, `${id}.eml`))
    return reply(250, '2.1.5', 'Delivered')
  } catch (error) {
    console.error(error)
    return reply(451, '4.3.0', 'Please try again later')
  }
}

const server = createServer({}, options)
server.listen(Number(process.env['PORT'] ?? 2424), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
