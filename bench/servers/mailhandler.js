// SmtpHandler with all defaults, discarding. BARE_NEWLINE picks another mode for bare CR and LF; FILTER makes each mail
// cost so many rounds of hashing, as one that looks at its content costs time. MAILDIR is where mail is delivered to, LMTP=1
// asks for LMTP; options.js has TLS and AUTH. DIST is another build's dist/.
import { pbkdf2Sync } from 'node:crypto'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { pathToFileURL } from 'node:url'
import { here } from '../processes.js'
import { certificate, hasUsers, PASSWORD, tls, USER } from './options.js'
import { discard, listening } from './received.js'

const lib = join(process.env.DIST ?? here('../dist'), 'lib')
const load = name => import(pathToFileURL(join(lib, `${name}.js`)).href)
const { plain, reply, SmtpHandler, scramSecret, scramSha256 } = await load('index')

const rounds = Number(process.env.FILTER ?? 0)

const options = {
  ...(process.env.BARE_NEWLINE === undefined ? {} : { bareNewline: process.env.BARE_NEWLINE }),
  ...(process.env.LMTP === '1' && { lmtp: true }),
  ...(tls === 'starttls' && { tls: certificate() }),
  ...(hasUsers && (await withUsers())),
  ...(process.env.MAILDIR === undefined ? { onMessage: discarding } : await toMaildir(process.env.MAILDIR)),
}

async function withUsers() {
  const secret = await scramSecret(PASSWORD)
  const isRight = given => given.verified === true || (given.user === USER && given.password === PASSWORD)
  return {
    auth: { mechanisms: [scramSha256({ lookup: user => (user === USER ? secret : null) }), plain()], insecure: true },
    onAuth: given => (isRight(given) ? reply(235, '2.7.0', 'Welcome') : undefined),
  }
}

async function toMaildir(folder) {
  const { maildir } = await load('maildir')
  return { delivery: maildir(folder) }
}

function discarding(message) {
  return new Promise((resolve, reject) => {
    message.once('error', reject)
    discard(message, () => {
      if (rounds > 0) pbkdf2Sync('', '', rounds, 32, 'sha256')
      resolve()
    })
  })
}

const serve = socket => void socket.pipe(new SmtpHandler(options)).pipe(socket)
const server = tls === 'implicit' ? createTlsServer(certificate(), serve) : createServer(serve)
server.listen(0, '127.0.0.1', 4096, () => listening(server.address().port))
