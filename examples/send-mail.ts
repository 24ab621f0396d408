// Sends a mail from standard input over a socket:
//
//   HOST=mx.example.org PORT=25 node dist/examples/send-mail.js sender@example.org recipient@example.org … < mail.eml
//
// With USER_NAME and PASSWORD it logs in, over TLS with a valid certificate only.

import { connect } from 'node:net'
import { normalizeNewlines } from 'mailhandler'
import { SmtpClient, type ReceivedReply } from 'mailhandler/client'

const [sender = '', ...recipients] = process.argv.slice(2)
const host = process.env['HOST'] ?? '127.0.0.1'
const { USER_NAME: user, PASSWORD: password } = process.env

const client = new SmtpClient({
  tls: { servername: host },
  ...(user !== undefined && password !== undefined && { auth: { user, password } }),
})
const socket = connect(Number(process.env['PORT'] ?? 1025), host)
socket.pipe(client).pipe(socket)

function show(what: string, { text, code }: ReceivedReply): boolean {
  console.log(`${what}: ${text}`)
  return code < 400
}

/** True if every recipient gets the mail. */
async function send(): Promise<boolean> {
  // Not awaited one by one, so that they leave together if the server offers PIPELINING.
  const replies = [client.mail(sender), ...recipients.map(recipient => client.rcpt(recipient))]
  const accepted = (await Promise.all(replies)).map((reply, i) =>
    show(i === 0 ? 'MAIL' : `RCPT ${recipients[i - 1]}`, reply),
  )
  if (!accepted[0] || !accepted.includes(true, 1)) return false
  // Lines of a file end in LF; in SMTP only CRLF ends a line, and the client sends nothing else.
  const [reply] = await client.data(process.stdin.pipe(normalizeNewlines()))
  return show('mail data', reply!) && !accepted.includes(false)
}

try {
  process.exitCode = (await send()) ? 0 : 1
  await client.quit()
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
  client.destroy() // and the connection with it
}
