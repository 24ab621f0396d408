// Certificates that clients show, over STARTTLS and implicit TLS.

import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { createServer } from '../lib/server/index.ts'
import type { Session } from '../lib/smtp/session.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { readTls, type TlsState } from '../lib/tls/tls-state.ts'
import { certificate, makeCertificate } from './fixtures/certificates.ts'
import { client, CLOSED, listening, tlsClient, type TcpClient } from './fixtures/tcp-client.ts'

const trusted = makeCertificate('trusted.example')
const unknown = makeCertificate('unknown.example', 'other.example')
const tls = { ...certificate(), ca: trusted.cert, requestCert: true, rejectUnauthorized: false }

interface Running {
  readonly sessions: Session[]
  /** A client that has greeted under TLS, and shown what is given. */
  open(shown: { key?: string; cert?: string }): Promise<TcpClient>
}

type Way = (t: Test, tlsOptions?: object) => Promise<Running>

async function starttls(t: Test, more: object = {}): Promise<Running> {
  const sessions: Session[] = []
  const server = await listening(
    createServer(() => new SmtpHandler({ tls: { ...tls, ...more }, onSecure: session => void sessions.push(session) })),
  )
  t.teardown(() => server.close({ within: 1 }).catch(() => {}))
  return {
    sessions,
    async open(shown) {
      const one = client(server)
      await one.reply()
      t.strictSame(await one.codes('EHLO c.test', 'STARTTLS'), ['250', '220'])
      await one.secure(shown)
      return one
    },
  }
}

async function implicitTls(t: Test, more: object = {}): Promise<Running> {
  const sessions: Session[] = []
  const server = await listening(
    createServer(
      { tls: { ...tls, ...more } },
      () => new SmtpHandler({ onConnect: session => void sessions.push(session) }),
    ),
  )
  t.teardown(() => server.close({ within: 1 }).catch(() => {}))
  return {
    sessions,
    async open(shown) {
      const one = tlsClient(server, shown)
      await once(one.socket, 'secureConnect')
      return one
    },
  }
}

/** The server of Node itself, which leaves the code of an error on its sockets, not the error. */
async function nodesTls(t: Test): Promise<Running> {
  const sessions: Session[] = []
  const server = await listening(
    createTlsServer(tls, socket => {
      const handler = new SmtpHandler({ onConnect: session => void sessions.push(session) })
      socket.pipe(handler).pipe(socket)
    }),
  )
  t.teardown(() => server.close())
  return { sessions, open: async shown => tlsClient(server, shown) }
}

const WAYS: Record<string, Way> = { STARTTLS: starttls, 'implicit TLS': implicitTls, 'tls.createServer': nodesTls }

for (const [name, serve] of Object.entries(WAYS)) {
  t.test(`${name}: what the client shows is in session.tls`, async t => {
    const running = await serve(t)
    const table: [string, { key?: string; cert?: string }, boolean, string | null][] = [
      ['trusted', trusted, true, null],
      ['unknown', unknown, false, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
      ['none', {}, false, 'UNABLE_TO_GET_ISSUER_CERT'],
    ]
    for (const [what, shown, authorized, authorizationError] of table) {
      const one = await running.open(shown)
      t.match(await one.say('EHLO c.test'), /^2[25]0/, what)
      const state = running.sessions.at(-1)!.tls!
      t.match(state, { version: 'TLSv1.3', cipher: /^TLS_/, authorized, authorizationError }, what)
      checkCertificate(t, state, shown.cert)
      one.socket.destroy()
      await once(one.socket, 'close')
      checkCertificate(t, state, shown.cert)
    }
  })
}

function checkCertificate(t: Test, { peerCertificate }: TlsState, cert: string | undefined): void {
  if (cert === undefined) {
    t.equal(peerCertificate, null)
    return
  }
  const shown = new X509Certificate(cert)
  t.equal(peerCertificate?.fingerprint256, shown.fingerprint256)
  t.equal(peerCertificate?.subject, shown.subject)
  t.equal(peerCertificate?.subjectAltName, shown.subjectAltName)
}

t.test('a client that is not asked shows none', async t => {
  const running = await implicitTls(t, { requestCert: false })
  const one = await running.open(trusted)
  t.match(await one.reply(), /^220/)
  t.match(running.sessions[0]?.tls, { authorized: false, authorizationError: null, peerCertificate: null })
})

t.test('rejectUnauthorized: only a trusted certificate gets a session', async t => {
  for (const serve of [starttls, implicitTls]) {
    const running = await serve(t, { rejectUnauthorized: true })
    for (const shown of [unknown, {}]) {
      const one = await running.open(shown)
      t.equal(await one.say('EHLO c.test'), CLOSED)
      t.equal(running.sessions.length, 0)
    }
    const one = await running.open(trusted)
    t.match(await one.say('EHLO c.test'), /^2[25]0/)
    t.equal(running.sessions[0]?.tls?.authorized, true)
  }
})

t.test('the certificate is read when it is first asked for, and once', async t => {
  let reads = 0
  const x509 = new X509Certificate(trusted.cert)
  const state = readTls({ encrypted: true, getPeerX509Certificate: () => (reads++, x509) })
  t.equal(reads, 0)
  t.equal(state?.peerCertificate, x509)
  t.equal(state?.peerCertificate, x509)
  t.equal(reads, 1)
  t.match(readTls({ encrypted: true }), {
    version: null,
    cipher: null,
    servername: null,
    authorized: false,
    peerCertificate: null,
  })
  t.equal(readTls({}), null)
})
