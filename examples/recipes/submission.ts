// Submission: users log in under TLS, send from their own address alone, and their mail goes to a smarthost.
//
// TLS_KEY and TLS_CERT are files, read again at SIGHUP. The one user is anna@example.org with PASSWORD.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { login, plain, reply, tlsContexts, type SmtpHandlerOptions } from 'mailhandler'
import { relay } from 'mailhandler/relay'
import { createServer } from 'mailhandler/server'

const derive = promisify<string, Buffer, number, Buffer>(scrypt)

const salt = randomBytes(16)
const users = new Map([['anna@example.org', await derive(process.env['PASSWORD'] ?? 'sesame', salt, 32)]])
const nobody = randomBytes(32)

const certificates = tlsContexts({
  default: { keyFile: process.env['TLS_KEY'] ?? 'key.pem', certFile: process.env['TLS_CERT'] ?? 'cert.pem' },
})

const options: SmtpHandlerOptions = {
  tls: { ...certificates, required: true },
  auth: { mechanisms: [plain(), login()], required: true },
  async onAuth(credentials) {
    if (!('password' in credentials)) return
    // An unknown user takes as long as a wrong password.
    const given = await derive(credentials.password, salt, 32)
    if (timingSafeEqual(given, users.get(credentials.user) ?? nobody)) return reply(235, '2.7.0', 'Welcome')
  },
  onMailFrom(sender, { user }) {
    if (sender.address !== user) return reply(553, '5.7.1', 'Send from your own address')
  },
  delivery: relay({
    host: process.env['SMARTHOST'] ?? '127.0.0.1',
    port: Number(process.env['SMARTHOST_PORT'] ?? 25),
    tls: { mode: process.env['SMARTHOST_TLS'] === 'never' ? 'never' : 'must' },
  }),
}

const server = createServer({}, options)
process.on('SIGHUP', () => certificates.reload())
server.listen(Number(process.env['PORT'] ?? 1587), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
