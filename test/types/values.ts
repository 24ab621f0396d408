// What must not compile: changes of what a handler gives out, and names that are not public. See options.ts.

import { reply, SmtpHandler, type Command, type Envelope, type Message, type Reply, type Session } from 'mailhandler'
import { createServer } from 'mailhandler/server'
import { misbehave } from 'mailhandler/testing'
// @ts-expect-error -- the inside of a body is not public
import { BodyFeed } from 'mailhandler'
// @ts-expect-error -- files of the package cannot be imported
import { MailHandler } from 'mailhandler/dist/lib/stream/mail-handler.js'

export { BodyFeed, MailHandler }

// ── What compiles ──

export function label(session: Session): void {
  session.trusted = 'our own network'
}
reply(250, '2.1.0', 'OK')
misbehave([{ at: 'RCPT', nth: 2, reply: reply(452, '4.2.2', 'Full') }])

// ── What a handler gives out is read only ──

export function change(session: Session, envelope: Envelope, command: Command, answer: Reply, message: Message): void {
  // @ts-expect-error -- a session keeps its id
  session.id = 'x'
  // @ts-expect-error -- recipients are added by RCPT alone
  envelope.recipients.push()
  // @ts-expect-error -- an envelope keeps its sender
  envelope.sender = null
  // @ts-expect-error -- a command is as it came
  command.verb = 'QUIT'
  // @ts-expect-error -- a reply is frozen
  answer.code = 250
  // @ts-expect-error -- raw() is a method
  message.raw.pause()
}

// ── Arguments ──

// @ts-expect-error -- a code is a number
reply('250', 'OK')
// @ts-expect-error -- a rule has a point of the session
misbehave([{ reply: reply(421, '4.3.2', 'Bye') }])
// @ts-expect-error -- which is a verb or one of a few more
misbehave([{ at: 'LUNCH', reply: reply(421, '4.3.2', 'Bye') }])
// @ts-expect-error -- a misspelt option of a server
createServer({ maxConnection: 5 }, () => new SmtpHandler())
// @ts-expect-error -- a misspelt limit of a client
createServer({ perClient: { connection: 5 } }, () => new SmtpHandler())
