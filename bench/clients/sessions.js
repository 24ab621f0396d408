// Sessions of SmtpClient with TLS, AUTH or BDAT, which smtp-source has not; over LMTP too.
//
//   node clients/sessions.js '{ "port": 2525, "sessions": 20, "messages": 1000, "octets": 1024 }'
//     sessions   connections at once
//     messages   mails in all; a new connection for each, unless "keep": true
//     path       a unix socket in place of the port
//     tls        "starttls" or "implicit"; "resume": true takes the TLS session of the connection before
//     auth       a mechanism, for the user anna with the password "secret"
//     bdat       true: the mail data by BDAT
//     lmtp       true: LMTP
//
// A process of its own, so that its work is not in the server's way. Ends with 1 where a mail is not accepted.

import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { SmtpClient } from '../../dist/lib/client.js'

const load = JSON.parse(process.argv[2])
const { port, path, sessions, messages, octets, keep = false, resume = false, bdat = false, lmtp = false } = load

const HEADER = 'From: <a@example.org>\r\nTo: <b@example.org>\r\nSubject: bench\r\n\r\n'
const LINE = `${'X'.repeat(76)}\r\n`
const MAIL = Buffer.from(HEADER + LINE.repeat(Math.max(1, Math.round((octets - HEADER.length) / LINE.length))))

const whole = { name: 'client.example', lmtp }
const trust = { mode: 'must', rejectUnauthorized: false }
const auth = { user: 'anna', password: 'secret', mechanisms: [load.auth], insecure: true }

/** The TLS session that the next connection may resume. */
let ticket

function options() {
  const tls = load.tls === 'starttls' ? { ...trust, ...(resume && ticket && { session: ticket }) } : { mode: 'may' }
  return { ...whole, tls, ...(load.auth !== undefined && { auth }) }
}

function open() {
  const to = path === undefined ? { port, host: '127.0.0.1', noDelay: true } : { path }
  const session = resume && ticket ? { session: ticket } : {}
  const socket = load.tls === 'implicit' ? connectTls({ ...to, ...session, rejectUnauthorized: false }) : connect(to)
  const client = new SmtpClient(options())
  socket.pipe(client).pipe(socket)
  if (load.tls === 'implicit' && resume) socket.on('session', given => (ticket = given))
  if (load.tls === 'starttls' && resume) client.on('pipe', stream => stream.on('session', given => (ticket = given)))
  return client
}

async function send(client) {
  const replies = [client.mail('a@example.org'), client.rcpt('b@example.org')]
  replies.push(bdat ? client.bdat(MAIL) : client.data(MAIL))
  for (const reply of (await Promise.all(replies)).flat()) {
    if (reply.code !== 250) throw new Error(`not accepted: ${reply.text}`)
  }
}

let left = messages

async function connection() {
  while (left > 0) {
    const client = open()
    do {
      left -= 1
      await send(client)
    } while (keep && left > 0)
    await client.quit()
  }
}

await Promise.all(Array.from({ length: Math.min(sessions, messages) }, connection))
