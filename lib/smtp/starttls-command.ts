// STARTTLS: TLS in the socket's place, and the session starts again. [RFC 3207 §4]

import type { TLSSocket } from 'node:tls'
import { after, isPromise } from '../stream/handlers.ts'
import { controls, type MailHandler } from '../stream/mail-handler.ts'
import { readTls } from '../tls/tls-state.ts'
import { wrapInTls } from '../tls/wrap-in-tls.ts'
import { Reply } from '../words/reply.ts'
import { NOT_SYNCHRONIZED, TLS_READY } from './known-replies.ts'
import type { SmtpSession } from './smtp-session.ts'

/** Answers the command; the handshake follows its reply. */
export function startTls(handler: MailHandler, session: SmtpSession): Reply {
  if (handler.inputWaiting) return session.refuseAndEnd(NOT_SYNCHRONIZED) // [RFC 3207 §4.2, CVE-2011-0411]
  const tls = session.options.tls!
  session.time.beginHandshake()
  controls.upgradeAfterReply(handler, source => {
    session.state.startAgain()
    const { id, client } = session.state
    const secured = (socket: TLSSocket): void => {
      session.state.tls = readTls(socket)
      session.time.endHandshake()
      askOnSecure(handler, session)
    }
    return wrapInTls(source, tls, secured, { how: 'starttls', client, session: id })
  })
  return TLS_READY
}

function askOnSecure(handler: MailHandler, session: SmtpSession): void {
  const asked = after(session.hooks.ask('onSecure', session.state.view), answer => {
    if (answer?.positive !== false) return
    session.state.ending ??= 'closed'
    handler.hangUp(new Reply(554, status554(answer.status), answer.lines)) // [RFC 5321 §3.1]
  })
  if (isPromise(asked)) controls.dialogue(handler).hold(asked) // what the client sends meanwhile waits
}

/** The enhanced status code of a refusal that is sent as 554; a 4yz one says nothing of 554. [RFC 3463 §2] */
function status554(status: string | null): string {
  return status?.startsWith('5') === true ? status : '5.7.0'
}
