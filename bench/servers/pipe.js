// The floor of a relay: a.pipe(b).pipe(a), a connection to UPSTREAM for each client.
import { connect, createServer } from 'node:net'
import { listening } from './received.js'

createServer(client => {
  const upstream = connect(Number(process.env.UPSTREAM), '127.0.0.1')
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ]) {
    one.setNoDelay(true)
    one.on('error', () => other.destroy())
    one.pipe(other)
  }
}).listen(0, '127.0.0.1', 4096, function () {
  listening(this.address().port)
})
