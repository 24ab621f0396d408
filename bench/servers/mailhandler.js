// SmtpHandler with all defaults, discarding. BARE_NEWLINE picks another mode for bare CR and LF.
import { createServer } from 'node:net'
import { SmtpHandler } from '../../dist/lib/index.js'
import { discard, listening } from './received.js'

const options = {
  bareNewline: process.env.BARE_NEWLINE ?? 'reject',
  onMessage(message) {
    return new Promise((resolve, reject) => {
      message.once('error', reject)
      discard(message, resolve)
    })
  },
}

createServer(socket => {
  socket.pipe(new SmtpHandler(options)).pipe(socket)
}).listen(0, '127.0.0.1', 4096, function () {
  listening(this.address().port)
})
