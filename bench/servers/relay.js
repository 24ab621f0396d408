// SmtpHandler with relay() to UPSTREAM. All clients come from one address, so that one network may have all connections.
import { createServer } from 'node:net'
import { SmtpHandler } from '../../dist/lib/index.js'
import { relay } from '../../dist/lib/relay.js'
import { listening } from './received.js'

const pool = { connections: 100, kept: 100, perNetwork: 1, uses: 1_000_000, age: 3_600_000 }
// smtp-sink offers XCLIENT, and answers it with 250 in place of a greeting.
const delivery = relay({ host: '127.0.0.1', port: Number(process.env.UPSTREAM), clientInfo: 'none', pool })

const options = { delivery, size: 2 ** 30 } // one object, so that it is checked once

createServer(socket => {
  socket.pipe(new SmtpHandler(options)).pipe(socket)
}).listen(0, '127.0.0.1', 4096, function () {
  listening(this.address().port)
})
