// The floor: a bare net.Server with canned replies, one search for CRLF.CRLF a chunk. No order, no checks, no limits.
import { createServer } from 'node:net'
import { cannedReply, findEnd, GREETING, OK } from './canned.js'
import { count, listening } from './received.js'

createServer(socket => {
  let data = false
  let octets = 0
  let rest = ''
  socket.setNoDelay(true)
  socket.on('error', () => {})
  socket.write(GREETING)
  socket.on('data', chunk => {
    if (data) {
      const next = findEnd(chunk)
      octets += next === -1 ? chunk.length : Math.max(0, next - 3)
      if (next === -1) return
      count(octets)
      data = false
      octets = 0
      socket.write(OK)
      chunk = chunk.subarray(next)
    }
    if (chunk.length === 0) return
    const lines = (rest + chunk.toString('latin1')).split('\r\n')
    rest = lines.pop()
    let replies = ''
    for (const line of lines) {
      const reply = cannedReply(line)
      replies += reply.text
      data ||= reply.data
      if (reply.ends) {
        socket.end(replies)
        return
      }
    }
    if (replies !== '') socket.write(replies)
  })
}).listen(0, '127.0.0.1', 4096, function () {
  listening(this.address().port)
})
