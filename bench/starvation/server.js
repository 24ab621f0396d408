// The server of bench/starvation.js: defaults, one process, and AUTH in clear, whose garbage is one of the shapes.

import { once } from 'node:events'
import { createServer } from '../../dist/lib/server/index.js'
import { reply } from '../../dist/lib/index.js'

const HONEST = '127.0.1.'

/** Microseconds of the processor that this process has used. */
function used() {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Honest session → when it began. */
const begun = new WeakMap()
/** What this process has worked from the greeting of an honest client to the verdict on its mail, for each of them. */
let waits = []

const server = createServer(
  {},
  {
    name: 'mx.example',
    auth: { insecure: true },
    onConnect(session) {
      if (session.client.address.startsWith(HONEST)) begun.set(session, used())
    },
    onAuth: () => reply(535, '5.7.8', 'No'),
    onRcptTo: ({ localPart }) => (localPart.startsWith('later') ? reply(450, '4.2.1', 'Later') : undefined),
    onMessage: message => void message.resume(),
    onReset(session) {
      if (begun.has(session) && session.envelope === null) waits.push(used() - begun.get(session))
    },
    handleError: () => {},
  },
)
server.listen(0, '127.0.0.1')
await once(server, 'listening')
process.on('message', () => {
  process.send({ cpu: used(), waits })
  waits = []
})
process.send({ port: server.address().port })
