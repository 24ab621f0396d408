// Behind HAProxy, whose PROXY header names the client: limits and policies see it, not the proxy.
//
//   haproxy.cfg:  server mail 127.0.0.1:2525 send-proxy-v2 check
//
// PROXIES are the networks of the proxies: from them the header is required, from anybody else it is refused.

import type { AddressInfo } from 'node:net'
import { reply, type SmtpHandlerOptions } from 'mailhandler'
import { maildir } from 'mailhandler/maildir'
import { createServer } from 'mailhandler/server'

const PROXIES = (process.env['PROXIES'] ?? '127.0.0.0/8').split(' ')
const BLOCKED = new Set((process.env['BLOCKED'] ?? '').split(' '))

const options: SmtpHandlerOptions = {
  onConnect({ client }) {
    console.log('Client', client.address) // of a health check: the proxy itself
    if (BLOCKED.has(client.address ?? '')) return reply(554, '5.7.1', 'Not from your address')
  },
  delivery: maildir(process.env['MAILDIR'] ?? 'Maildir'),
}

// The limits of one client are those of the client that the header names.
const server = createServer({ proxy: PROXIES, perClient: { connections: 10, perMinute: 60 } }, options)
server.listen(Number(process.env['PORT'] ?? 2525), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
