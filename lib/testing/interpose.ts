// Between a handler and its client.
//
//     handleConnect, handleCommand, body, verdict ─▶ the rule that is due ─▶ delay, then reply or cut

import type { Command } from '../protocol/commands/command.ts'
import { parseForwardPath, parseReversePath } from '../protocol/addresses/path.ts'
import { delay, Timers } from '../time/clock.ts'
import { sessionOf, type SmtpHandler } from '../smtp/smtp-handler.ts'
import { after, type Answer } from '../stream/handlers.ts'
import { controls } from '../stream/mail-handler.ts'
import { cutOff } from './cut-off.ts'
import type { MisbehaviourRule } from './misbehaviour-rules.ts'

const ANY_PATH = { utf8: true, lenient: true } as const

/** Where a session stands; null for what is not known there. */
export interface Moment {
  /** A verb, or the name of another point. */
  readonly point: string
  readonly isCommand: boolean
  readonly helo: string | null
  readonly sender: string | null
  readonly recipients: readonly string[]
}

/** A rule whose time has come. */
export interface Due {
  readonly rule: MisbehaviourRule
  /** Notes that it was carried out. */
  readonly note: () => void
}

/** Replaces methods of a handler by such as ask first what is due. */
export function interpose(handler: SmtpHandler, ask: (moment: Moment) => Due | null): void {
  const timers = new Timers(sessionOf(handler).options.clock)
  handler.once('close', () => timers.clearAll())

  /** Does what is due, or what the handler would do where that is left; `drop` is for what comes with a refused command. */
  function perform(due: Due | null, usual: () => Answer, drop: () => Answer = () => {}): Answer {
    if (due === null) return usual()
    due.note()
    const { delay: wait, cut, reply } = due.rule
    const act = (): Answer => {
      if (controls.waiting(handler) === 'end') return // the client has left meanwhile
      if (cut !== undefined) return cutOff(handler, cut, reply)
      if (reply?.positive === false) return after(drop(), () => reply)
      return after(usual(), answer => (answer?.positive === true ? (reply ?? answer) : answer))
    }
    return wait === undefined ? act() : delay(timers, wait).then(act)
  }
  // ── The greeting, commands ──

  const handleConnect = handler.handleConnect.bind(handler)
  handler.handleConnect = () =>
    after(perform(ask(momentOf(handler, 'greeting')), handleConnect), greeting => {
      if (greeting?.positive === false) sessionOf(handler).state.phase = 'refused' // [RFC 5321 §3.1]
      return greeting
    })

  const handleCommand = handler.handleCommand.bind(handler)
  handler.handleCommand = command => {
    const usual = (): Answer => handleCommand(command)
    const drop = command.verb === 'BDAT' ? () => dropChunk(usual) : undefined
    return perform(ask(momentOf(handler, command.verb, command)), usual, drop)
  }

  /** The octets of a chunk that is refused come all the same, and so do the chunks behind. [RFC 3030 §2] */
  function dropChunk(usual: () => Answer): Answer {
    const { state } = sessionOf(handler)
    if (state.phase === 'recipients' || state.phase === 'chunks') state.phase = 'failed'
    return usual()
  }

  // ── Mail data ──

  const handleBody = handler.handleBody.bind(handler)
  handler.handleBody = body => {
    const verdict = handleBody(body)
    const due = ask(momentOf(handler, 'body'))
    if (due !== null) {
      const { afterOctets = 0, cut = 'close', reply } = due.rule
      controls.incoming(handler).data?.mark(afterOctets, () => {
        due.note()
        cutOff(handler, cut, reply)
      })
    }
    return verdict
  }

  // ── The verdict: a reply in its place is chosen when it is known; the rest is done before it is sent ──

  const observer = controls.dialogue(handler).observer!
  controls.dialogue(handler).observer = {
    waits: waiting => observer.waits(waiting),
    replies: reply => observer.replies(reply),
    concludes(verdict) {
      const due = ask(momentOf(handler, 'verdict'))
      const reply = due?.rule.reply
      const replaced = verdict.map(each => (reply?.positive === true && !each.positive ? each : (reply ?? each)))
      return after(observer.concludes(replaced), final =>
        after(
          perform(due, () => {}),
          () => final,
        ),
      )
    },
  }
}

function momentOf({ session }: SmtpHandler, point: string, command?: Command): Moment {
  const { helo, envelope } = session
  const isCommand = command !== undefined
  if (isCommand && point === 'MAIL') {
    const path = parseReversePath(command.argument, ANY_PATH)
    return { point, isCommand, helo, sender: path.ok ? path.mailbox.address : null, recipients: [] }
  }
  const sender = envelope?.sender.address ?? null
  if (isCommand && point === 'RCPT') {
    const path = parseForwardPath(command.argument, ANY_PATH)
    return { point, isCommand, helo, sender, recipients: path.ok ? [path.mailbox.address] : [] }
  }
  return { point, isCommand, helo, sender, recipients: envelope?.recipients.map(({ address }) => address) ?? [] }
}
