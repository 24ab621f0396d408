// A service that gets mail from a webhook: it checks the signature, and takes a message once though its sender may send
// it again. The other side:
//
//     webhook({ url: 'http://127.0.0.1:8080/', secret: process.env.WEBHOOK_SECRET, form: 'raw' })
//
// or, in the configuration of the command, with the secret in a file:
//
//     [delivery.webhook]
//     url = "http://127.0.0.1:8080/"
//     form = "raw"
//     secret_file = "secret"

import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { WebhookEnvelope } from 'mailhandler/webhook'

const secret = process.env['WEBHOOK_SECRET'] ?? 'only for trying it'
const OLDEST = 15 * 60_000

/** The keys of messages that were taken; in earnest a unique column of the table that the message goes to. */
const taken = new Set<string>()

/** Reads a message, and returns the status of the answer. */
async function take(request: IncomingMessage): Promise<number> {
  const json = String(request.headers['mailhandler-envelope'])
  const hmac = createHmac('sha256', secret).update(`${json}\n`)
  let octets = 0
  await pipeline(request, async body => {
    for await (const piece of body as AsyncIterable<Buffer>) {
      hmac.update(piece)
      octets += piece.length // and write it to a file, an object store …
    }
  })
  // Only now, at the end of the request, there are trailers.
  const key = String(request.trailers['mailhandler-key'])
  const given = Buffer.from(String(request.trailers['mailhandler-signature']), 'hex')
  const right = hmac.update(`\n${key}`).digest()
  if (given.length !== right.length || !timingSafeEqual(given, right)) return 401
  const { time, sender, recipients } = JSON.parse(json) as WebhookEnvelope
  if (Date.now() - Date.parse(time) > OLDEST) return 401
  if (taken.has(key)) return 200
  taken.add(key)
  console.log(`${octets} octets from <${sender}> for ${recipients.join(', ')}`)
  return 200
}

const server = createServer((request, response) => {
  take(request).then(
    status => void response.writeHead(status).end(),
    () => console.log('A message was cut short'),
  )
})
server.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  console.log(`Listening on port ${(server.address() as AddressInfo).port}`)
})
process.on('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})
