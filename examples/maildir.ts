// What `npm start` runs: a mail server on 127.0.0.1:2525 that delivers to ./Maildir.
//
//   socket ─pipe→ MaildirHandler ─pipe→ socket
//                   └ handleBody → maildir.deliver(body) → Maildir/new/
//
// MailHandler knows no order of commands and no envelope; this class shows how little it takes to add both.
// PORT and MAILDIR in the environment choose another port and folder.

import { createServer, type AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { MailHandler, reply, type Body, type Command, type Reply } from 'mailhandler'
import { maildir } from 'mailhandler/maildir'

const SIZE = 50 * 2 ** 20
const PORT = Number(process.env['PORT'] ?? 2525)
const FOLDER = resolve(process.env['MAILDIR'] ?? 'Maildir')

const folder = maildir(FOLDER)

// [RFC 5321 §4.1.2], without quoted local parts that hold spaces or brackets
const FROM = /^FROM:<([!-;=?-~]*)>([ -~]*)$/i
const TO = /^TO:<([!-;=?-~]+)>$/i
const PARAMETER = /^(?:SIZE=\d{1,15}|BODY=(?:7BIT|8BITMIME))$/i

const OK = reply(250, '2.0.0', 'OK')
const HELO_FIRST = reply(503, '5.5.1', 'Send HELO or EHLO first')
const MAIL_FIRST = reply(503, '5.5.1', 'Send MAIL first')
const RCPT_FIRST = reply(503, '5.5.1', 'Send RCPT first')
const SENDER_GIVEN = reply(503, '5.5.1', 'The sender is already given; send RSET to start again')
const TOO_LARGE = reply(552, '5.3.4', 'Message too large')

class MaildirHandler extends MailHandler {
  #greeted = false
  #sender: string | null = null
  #recipients: string[] = []
  #receiving = false

  override handleHelo(command: Command): Reply {
    return this.#greet(command) ?? reply(250, 'Hello')
  }

  override handleEhlo(command: Command): Reply {
    return this.#greet(command) ?? reply(250, 'Hello', 'PIPELINING', '8BITMIME', `SIZE ${SIZE}`)
  }

  override handleMail({ argument }: Command): Reply {
    if (!this.#greeted) return HELO_FIRST
    if (this.#sender !== null) return SENDER_GIVEN
    const [, sender, rest = ''] = FROM.exec(argument) ?? []
    if (sender === undefined) return reply(501, '5.1.7', 'MAIL takes FROM:<address>')
    const parameters = rest.split(' ').filter(word => word !== '')
    if (!parameters.every(word => PARAMETER.test(word))) return reply(555, '5.5.4', 'Unknown parameter')
    if (parameters.some(word => /^SIZE=/i.test(word) && Number(word.slice(5)) > SIZE)) return TOO_LARGE
    this.#sender = sender
    return reply(250, '2.1.0', 'OK')
  }

  override handleRcpt({ argument }: Command): Reply {
    if (this.#sender === null) return MAIL_FIRST
    if (this.#recipients.length >= 1000) return reply(452, '4.5.3', 'Too many recipients')
    const [, recipient] = TO.exec(argument) ?? []
    if (recipient === undefined) return reply(501, '5.1.3', 'RCPT takes TO:<address>')
    this.#recipients.push(recipient)
    return reply(250, '2.1.5', 'OK')
  }

  override handleData(): Reply {
    if (this.#sender === null) return MAIL_FIRST
    if (this.#recipients.length === 0) return RCPT_FIRST
    return reply(354, 'Start mail input; end with <CRLF>.<CRLF>')
  }

  override async handleBody(body: Body): Promise<Reply> {
    this.#receiving = true
    try {
      return await this.#deliver(body)
    } finally {
      this.#receiving = false
      this.#reset()
    }
  }

  async #deliver(body: Body): Promise<Reply> {
    // What this throws becomes the reply: 452 for a full disk, 552 for too many octets, 451 for all else.
    const { id, size } = await folder.deliver(body.unstuffed().normalizeNewlines().limit(SIZE))
    console.log(`${id}: ${size} octets from <${this.#sender}> for <${this.#recipients.join('>, <')}>`)
    return reply(250, '2.0.0', `Delivered as ${id}`)
  }

  override handleRset(): Reply {
    this.#reset()
    return OK
  }

  override handleNoop(): Reply {
    return OK
  }

  override handleVrfy(): Reply {
    return reply(252, '2.5.0', 'Cannot VRFY a user, but will take mail and try')
  }

  override handleHelp(): Reply {
    return reply(214, '2.0.0', 'Commands: HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT')
  }

  override handleQuit(): Reply {
    return reply(221, '2.0.0', 'Bye')
  }

  /** The server goes down: a message under way comes to its end first. */
  stop(): void {
    if (this.#receiving) this.breakConnection = true
    else this.hangUp(reply(421, '4.3.2', 'Service going down'))
  }

  #greet({ words }: Command): Reply | null {
    if (words.length !== 2) return reply(501, '5.5.4', 'Say who you are')
    this.#greeted = true
    this.#reset()
    return null
  }

  #reset(): void {
    this.#sender = null
    this.#recipients = []
  }
}

const sessions = new Set<MaildirHandler>()

const server = createServer(socket => {
  // A bare LF ends a command; in a message it becomes CRLF, as programs that send LF mean it.
  const handler = new MaildirHandler({ bareNewline: 'normalize' })
  sessions.add(handler)
  handler.on('close', () => sessions.delete(handler))
  socket.pipe(handler).pipe(socket)
})

server.listen(PORT, '127.0.0.1', () => {
  const { address, port } = server.address() as AddressInfo
  console.log(`Listening on ${address}:${port}, delivering to ${FOLDER}`)
})

server.on('error', error => {
  console.error(error.message)
  process.exitCode = 1
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    server.close()
    for (const session of sessions) session.stop()
    // Who has not closed the connection by then is cut off.
    setTimeout(() => process.exit(), 10_000).unref()
  })
}
