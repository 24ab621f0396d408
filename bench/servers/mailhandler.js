// SmtpHandler with all defaults, discarding. BARE_NEWLINE picks another mode for bare CR and LF; FILTER makes each mail
// cost so many rounds of hashing, as one that looks at its content costs time.
import { pbkdf2Sync } from 'node:crypto'
import { createServer } from 'node:net'
import { SmtpHandler } from '../../dist/lib/index.js'
import { discard, listening } from './received.js'

const rounds = Number(process.env.FILTER ?? 0)

const options = {
  bareNewline: process.env.BARE_NEWLINE ?? 'reject',
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
