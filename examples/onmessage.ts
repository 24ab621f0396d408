// A complete ESMTP server in one hook.

import { createServer, type AddressInfo } from 'node:net'
import { SmtpHandler } from 'mailhandler'

const server = createServer(socket => {
  const handler = new SmtpHandler({
    async onMessage(message, session) {
      let octets = 0
      for await (const chunk of message) octets += (chunk as Buffer).length
      const { sender, recipients } = session.envelope
      console.log(
        `${octets} octets from <${sender.address}> for ${recipients.map(({ address }) => address).join(', ')}`,
      )
    },
  })
  socket.pipe(handler).pipe(socket)
})
server.listen(Number(process.env['PORT'] ?? 1025), '127.0.0.1', () => {
  console.log('Listening on port', (server.address() as AddressInfo).port)
})
