// What must not compile: options, hooks and their answers. tsc checks this file; nothing runs it. A line that begins with
// "@ts-expect-error" stands before the one line that is wrong: if that compiles one day, tsc fails.

import {
  allowRecipients,
  noteKey,
  reply,
  SmtpHandler,
  type Delivery,
  type JudgingHooks,
  type Policy,
  type SessionInTransaction,
  type SmtpHandlerOptions,
} from 'mailhandler'

// ── What compiles ──

new SmtpHandler({ policies: [allowRecipients(['example.org']), { name: 'quiet', onHelo() {} }] })
new SmtpHandler({ onMessage: async () => reply(451, '4.7.1', 'Later'), extensions: { DSN: true }, size: 0 })

class Mine extends SmtpHandler {
  override onRcptTo(): void {}
}
new Mine()

// ── Names and values of options ──

// @ts-expect-error -- a misspelt option
new SmtpHandler({ sise: 4 })
// @ts-expect-error -- a misspelt limit
new SmtpHandler({ limits: { recipient: 4 } })
// @ts-expect-error -- a word that is no choice
new SmtpHandler({ bareNewline: 'maybe' })
// @ts-expect-error -- an extension that does not exist
new SmtpHandler({ extensions: { XSHOUT: true } })
// @ts-expect-error -- undefined in place of a missing option
new SmtpHandler({ size: undefined })
// @ts-expect-error -- a filter makes a stream
new SmtpHandler({ filters: [() => 'x'] })
// @ts-expect-error -- options are read only
export const change = (options: SmtpHandlerOptions): void => void (options.size = 4)

// ── Policies judge, one delivery takes ──

const delivery: Delivery = { onMessage() {} }
new SmtpHandler({ delivery, policies: [] })
// @ts-expect-error -- both would take messages
new SmtpHandler({ delivery, onMessage() {} })
// @ts-expect-error -- a policy takes no message
new SmtpHandler({ policies: [{ onMessage() {} }] })
// @ts-expect-error -- a delivery takes messages
new SmtpHandler({ delivery: { onRcptTo() {} } })
// @ts-expect-error -- methods go round order and hooks: a subclass may override them, options may not
new SmtpHandler({ handleMail: () => reply(250, 'OK') })

// ── A session is read-only ──

export function touch(session: SessionInTransaction): string {
  session.trusted = 'our own network'
  session.client.name = 'mail.example.org'
  // @ts-expect-error -- only the session changes the user
  session.user = 'anna'
  // @ts-expect-error -- nor the order of commands
  session.phase = 'greeted'
  // @ts-expect-error -- nor the address
  session.client.address = '192.0.2.1'
  // @ts-expect-error -- nor the recipients
  session.envelope.recipients.push(session.envelope.recipients[0]!)
  return session.envelope.id
}

// ── Notes have types ──

const score = noteKey<number>('score')

export function note({ notes, envelope }: SessionInTransaction): number | undefined {
  notes.set(score, 1)
  // @ts-expect-error -- the note is a number
  envelope.notes.set(score, 'one')
  // @ts-expect-error -- a key is made by noteKey
  notes.set('score', 1)
  // @ts-expect-error -- it may be missing
  const known: number = notes.get(score)
  return known
}

// ── What handlers need of each other is not public ──

declare const handler: SmtpHandler
// @ts-expect-error
void handler.takeOctets
// @ts-expect-error
void handler.openBody
// @ts-expect-error
void handler.judge
// @ts-expect-error
void handler.sayAhead
// @ts-expect-error
void handler.upgradeAfterReply
// @ts-expect-error
void handler.handleWait
// @ts-expect-error
void handler.options

// ── Hooks ──

// @ts-expect-error -- a misspelt hook
new SmtpHandler({ policies: [{ onRcpt() {} }] })
// @ts-expect-error -- a text is no reply
new SmtpHandler({ onMailFrom: () => '250 OK' })
// @ts-expect-error -- nor is it one later
new SmtpHandler({ onMailFrom: async () => '250 OK' })
// @ts-expect-error -- only onMessage may answer with a list of replies
new SmtpHandler({ onData: () => [reply(250, 'OK')] })
// @ts-expect-error -- onReset judges nothing
export const reset: JudgingHooks = { onReset: () => reply(450, 'Not now') }
// @ts-expect-error -- true is no answer
export const policy: Policy = { onConnect: () => true }

export class Wrong extends SmtpHandler {
  // @ts-expect-error -- a method of a subclass has the hook's types too
  override onHelo(): string {
    return '250 OK'
  }
}
