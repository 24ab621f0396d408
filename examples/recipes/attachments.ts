// Parses each message and stores its attachments, in a folder for each message.
//
//   FOLDER/<id>/mail.json   FOLDER/<id>/1-invoice.pdf
//
// The sender gets 250 once all is written; if anything fails, 451, and the message comes again.

import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { SmtpHandlerOptions } from 'mailhandler'
import { createServer } from 'mailhandler/server'
import PostalMime from 'postal-mime'

const FOLDER = process.env['FOLDER'] ?? 'messages'

const options: SmtpHandlerOptions = {
  size: 25 * 2 ** 20, // a message is in memory while it is parsed: this, times maxConnections, is what may be in use
  async onMessage(message, { envelope }) {
    const mail = await PostalMime.parse(await buffer(message))
    const files = mail.attachments.map(({ filename, content }, i) => ({ name: `${i + 1}-${safe(filename)}`, content }))
    const { from, subject = '', text = '' } = mail
    const recipients = envelope.recipients.map(({ address }) => address)
    const summary = { from: from?.address ?? '', recipients, subject, text, attachments: files.map(({ name }) => name) }

    const unfinished = join(FOLDER, `.${envelope.id}`)
    await mkdir(unfinished, { recursive: true })
    try {
      for (const { name, content } of files)
        await writeFile(join(unfinished, name), typeof content === 'string' ? content : new Uint8Array(content))
      await writeFile(join(unfinished, 'mail.json'), JSON.stringify(summary, null, 2))
      await rename(unfinished, join(FOLDER, envelope.id))
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true })
      throw error
    }
  },
}

/** The sender chose the name: letters, digits and a few signs are left of it. */
function safe(filename: string | null): string {
  return (filename ?? 'attachment').replace(/[^\p{L}\p{N}._-]+/gu, '_').slice(-100)
}

const server = createServer({ maxConnections: 20 }, options)
server.listen(Number(process.env['PORT'] ?? 2525), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
