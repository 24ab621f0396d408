// What must not compile: options, hooks and their answers. tsc checks this file; nothing runs it. A line that begins with
// "@ts-expect-error" stands before the one line that is wrong: if that compiles one day, tsc fails.

import { allowRecipients, reply, SmtpHandler, type Hooks, type Policy, type SmtpHandlerOptions } from 'mailhandler'

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
export const reset: Hooks = { onReset: () => reply(450, 'Not now') }
// @ts-expect-error -- true is no answer
export const policy: Policy = { onConnect: () => true }

export class Wrong extends SmtpHandler {
  // @ts-expect-error -- a method of a subclass has the hook's types too
  override onHelo(): string {
    return '250 OK'
  }
}
