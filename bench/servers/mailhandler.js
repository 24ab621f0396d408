// SmtpHandler with all defaults, discarding. BARE_NEWLINE picks another mode for bare CR and LF; FILTER makes each mail
// cost so many rounds of hashing, as one that looks at its content costs time. DIST is another build's dist/.
import { pbkdf2Sync } from 'node:crypto'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { here } from '../processes.js'
import { discard, listening } from './received.js'

const dist = process.env.DIST ?? here('../dist')
const { SmtpHandler } = await import(pathToFileURL(join(dist, 'lib/index.js')).href)

const rounds = Number(process.env.FILTER ?? 0)

const options = {
  ...(process.env.BARE_NEWLINE === undefined ? {} : { bareNewline: process.env.BARE_NEWLINE }),
  onMessage(message) {
    return new Promise((resolve, reject) => {
      message.once('error', reject)
      discard(message, () => {
        if (rounds > 0) pbkdf2Sync('', '', rounds, 32, 'sha256')
        resolve()
      })
    })
  },
}

createServer(socket => {
  socket.pipe(new SmtpHandler(options)).pipe(socket)
}).listen(0, '127.0.0.1', 4096, function () {
  listening(this.address().port)
})
