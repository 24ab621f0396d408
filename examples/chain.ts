// Streams of your own around a handler, made with through2.
//
//   socket ─→ transcript('C: ') ─→ SmtpHandler ─→ transcript('S: ') ─→ socket
//                                     └ message ─→ prependHeader ─→ withoutShouting ─→ Mails/1.eml, 2.eml …
//
// A handler is a Duplex: anything can stand between it and the socket, and between a message and a file. Where it is not
// the socket itself that is piped into the handler, the handler cannot see to it: its address is given as an option, it
// stays open for the replies when the client has ended its direction, and pipeline() makes the end of one the end of all.

import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { pipeline as whole } from 'node:stream/promises'
import through2 from 'through2'
import { prependHeader, SmtpHandler } from 'mailhandler'

const FOLDER = process.env['MAILS'] ?? 'Mails'

/** Passes everything on, and prints it: control characters escaped, one line for each chunk. */
function transcript(prefix: string) {
  return through2((chunk: Buffer, _encoding, done) => {
    console.log(prefix + JSON.stringify(chunk.toString('latin1')))
    done(null, chunk)
  })
}

/** Makes `!!!` one `!`. A run that two chunks share may leave two: a filter for an example. */
function withoutShouting() {
  return through2((chunk: Buffer, _encoding, done) => {
    done(null, Buffer.from(chunk.toString('latin1').replace(/!+/g, '!'), 'latin1'))
  })
}

let messages = 0

const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
  const handler = new SmtpHandler({
    client: { address: socket.remoteAddress ?? null, port: socket.remotePort ?? null },
    async onMessage(message, session) {
      const trace = prependHeader({ 'Return-Path': `<${session.envelope.sender.address}>` })
      await whole(message, trace, withoutShouting(), createWriteStream(join(FOLDER, `${++messages}.eml`)))
    },
  })
  pipeline([socket, transcript('C: '), handler, transcript('S: '), socket], error => {
    console.log(error ? `The connection was lost: ${error.message}` : 'The session has ended')
  })
})

await mkdir(FOLDER, { recursive: true })
server.listen(Number(process.env['PORT'] ?? 1025), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
