// Submission: STARTTLS in place, then AUTH, then mail; into a Maildir.
//
// TLS_KEY and TLS_CERT name the files of a key and its certificate; without them openssl makes a pair for `localhost`.
// The one user is anna, her password is in PASSWORD, or `sesame`.

import { execFileSync } from 'node:child_process'
import { createHash, timingSafeEqual } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { login, plain, reply, scramSecret, scramSha256, SmtpHandler, type SmtpHandlerOptions } from 'mailhandler'
import { maildir } from 'mailhandler/maildir'

const USER = 'anna'
const PASSWORD = process.env['PASSWORD'] ?? 'sesame'

const sha256 = (text: string) => createHash('sha256').update(text).digest()

// SCRAM needs no password here, only what was made of one; PLAIN and LOGIN send it, under TLS, to onAuth.
const secret = await scramSecret(PASSWORD)

// One object for all sessions: it is checked, and the certificate read, once.
const options: SmtpHandlerOptions = {
  name: 'localhost',
  tls: { ...keyAndCertificate(), required: true },
  auth: {
    mechanisms: [scramSha256({ lookup: user => (user === USER ? secret : null) }), plain(), login()],
    required: true,
  },
  onAuth(credentials) {
    if (!('password' in credentials)) return
    const right = timingSafeEqual(sha256(credentials.password), sha256(PASSWORD))
    if (right && credentials.user === USER) return reply(235, '2.7.0', `Welcome, ${USER}`)
  },
  onMailFrom(sender, session) {
    console.log(`${session.user} sends from <${sender.address}> by ${session.protocol}, ${session.tls?.version}`)
  },
  delivery: maildir(process.env['MAILDIR'] ?? 'Maildir'),
}

const server = createServer(socket => {
  socket.pipe(new SmtpHandler(options)).pipe(socket)
})
server.listen(Number(process.env['PORT'] ?? 1587), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})

function keyAndCertificate(): { key: Buffer; cert: Buffer } {
  const { TLS_KEY: key, TLS_CERT: cert } = process.env
  if (key !== undefined && cert !== undefined) return { key: readFileSync(key), cert: readFileSync(cert) }
  const scratch = mkdtempSync(join(tmpdir(), 'mailhandler-'))
  const files = { key: join(scratch, 'key.pem'), cert: join(scratch, 'cert.pem') }
  const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30']
  const whom = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', ...what, ...whom, '-keyout', files.key, '-out', files.cert], {
    stdio: 'pipe',
  })
  try {
    return { key: readFileSync(files.key), cert: readFileSync(files.cert) }
  } finally {
    rmSync(scratch, { recursive: true })
  }
}
