// A server for tests of a mail client: each mail gets the trouble that its address asks for.

import { createServer, type AddressInfo } from 'node:net'
import { reply, SmtpHandler, type SmtpHandlerOptions } from 'mailhandler'
import { misbehave } from 'mailhandler/testing'

const misbehaviour = misbehave([
  { at: 'RCPT', when: { recipient: /^full@/ }, reply: reply(452, '4.2.2', 'Mailbox full') },
  { at: 'RCPT', when: { recipient: /^unknown@/ }, reply: reply(550, '5.1.1', 'No such user here') },
  { at: 'RCPT', when: { recipient: /^grey@/ }, nth: 1, reply: reply(451, '4.7.1', 'Greylisted, try again') },
  { at: 'DATA', when: { recipient: /^slow@/ }, delay: 1000 },
  { at: 'body', when: { recipient: /^reset@/ }, afterOctets: 10, cut: 'reset' },
  { at: 'verdict', when: { recipient: /^lost@/ }, nth: 1, cut: 'close' }, // taken, and nobody is told: RFC 1047
])

// One object for all handlers, so that it counts over all sessions.
const options: SmtpHandlerOptions = {
  policies: [misbehaviour],
  async onMessage(message) {
    let octets = 0
    for await (const chunk of message) octets += (chunk as Buffer).length
    console.log('Taken:', octets, 'octets')
  },
  onClose: () => console.log('Done so far:', misbehaviour.done.map(({ rule, nth }) => `${rule}/${nth}`).join(' ')),
}

const server = createServer(socket => {
  socket.pipe(new SmtpHandler(options)).pipe(socket)
})
server.listen(Number(process.env['PORT'] ?? 1025), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
