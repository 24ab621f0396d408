// The smallest useful subclass of MailHandler: a server that prints every mail it gets.

import { createServer, type AddressInfo } from 'node:net'
import { MailHandler, reply, type Body } from 'mailhandler'

class Printer extends MailHandler {
  override handleHelo() {
    return reply(250, 'Hello')
  }
  override handleEhlo() {
    return reply(250, 'Hello')
  }
  override handleMail() {
    return reply(250, 'OK')
  }
  override handleRcpt() {
    return reply(250, 'OK')
  }
  override handleData() {
    return reply(354, 'Go on')
  }
  override async handleBody(body: Body) {
    for await (const chunk of body.unstuffed()) process.stdout.write(chunk as Buffer)
  }
  override handleQuit() {
    return reply(221, 'Bye')
  }
}

const server = createServer(socket => {
  socket.pipe(new Printer()).pipe(socket)
})
server.listen(Number(process.env['PORT'] ?? 1025), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
