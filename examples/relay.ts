// A relay: passes mail on to another server while the client waits, and tells it that server's own replies.
//
//   UPSTREAM=10.0.0.5 UPSTREAM_PORT=25 node dist/examples/relay.js
//
// There is no queue: 250 comes only after the upstream has taken the message. DOMAIN is the one whose mail is taken.

import { createServer, type AddressInfo } from 'node:net'
import { allowRecipients, SmtpHandler, type SmtpHandlerOptions } from 'mailhandler'
import { relay } from 'mailhandler/relay'

const options: SmtpHandlerOptions = {
  name: 'relay.example',
  // Without this, anybody could send anything to anywhere.
  policies: [allowRecipients([process.env['DOMAIN'] ?? 'example.org'])],
  delivery: relay({
    host: process.env['UPSTREAM'] ?? '127.0.0.1',
    port: Number(process.env['UPSTREAM_PORT'] ?? 25),
    name: 'relay.example',
  }),
}

const server = createServer(socket => {
  socket.pipe(new SmtpHandler(options)).pipe(socket)
})
server.listen(Number(process.env['PORT'] ?? 1025), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
