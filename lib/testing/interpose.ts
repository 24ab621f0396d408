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

const ANY_PATH = { utf8: true, strictness: 'lenient' } as const

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

/** Puts `ask` before the greeting, each command, the mail data and the verdict of a handler. */
export function interpose(handler: SmtpHandler, ask: (moment: Moment) => Due | null): void {
  const interposer = new Interposer(handler, ask)
  interposer.beforeCommands()
  interposer.inMailData()
  interposer.beforeVerdict()
}

class Interposer {
  readonly #handler: SmtpHandler
  readonly #ask: (moment: Moment) => Due | null
  readonly #timers: Timers

  constructor(handler: SmtpHandler, ask: (moment: Moment) => Due | null) {
    this.#handler = handler
    this.#ask = ask
    this.#timers = new Timers(sessionOf(handler).options.clock)
    handler.once('close', () => this.#timers.clearAll())
  }

  /** The greeting, and each command. */
  beforeCommands(): void {
    const handler = this.#handler
    const handleConnect = handler.handleConnect.bind(handler)
    handler.handleConnect = () =>
      after(this.#perform(this.#due('greeting'), handleConnect), greeting => {
        if (greeting?.positive === false) sessionOf(handler).state.phase = 'refused' // [RFC 5321 §3.1]
        return greeting
      })
    const handleCommand = handler.handleCommand.bind(handler)
    handler.handleCommand = command => {
      const usual = (): Answer => handleCommand(command)
      const drop = command.verb === 'BDAT' ? () => this.#dropChunk(usual) : undefined
      return this.#perform(this.#due(command.verb, command), usual, drop)
    }
  }

  /** The mail data, after some octets. */
  inMailData(): void {
    const handler = this.#handler
    const handleBody = handler.handleBody.bind(handler)
    handler.handleBody = body => {
      const verdict = handleBody(body)
      const due = this.#due('body')
      if (due !== null) {
        const { afterOctets = 0, cut = 'close', reply } = due.rule
        controls.incoming(handler).data?.mark(afterOctets, () => {
          due.note()
          cutOff(handler, cut, reply)
        })
      }
      return verdict
    }
  }

  /** The verdict: its reply is replaced when it is known; a delay or a cut comes before it is sent. */
  beforeVerdict(): void {
    const dialogue = controls.dialogue(this.#handler)
    const observer = dialogue.observer!
    dialogue.observer = {
      onWait: waiting => observer.onWait(waiting),
      onReply: reply => observer.onReply(reply),
      onVerdict: verdict => {
        const due = this.#due('verdict')
        const reply = due?.rule.reply
        const replaced = verdict.map(each => (reply?.positive === true && !each.positive ? each : (reply ?? each)))
        const act = () => this.#perform(due, () => {})
        return after(observer.onVerdict(replaced), final => after(act(), () => final))
      },
    }
  }

  #due(point: string, command?: Command): Due | null {
    return this.#ask(momentOf(this.#handler, point, command))
  }

  /** Does what is due, else `usual`; `drop` takes what comes with a refused command. */
  #perform(due: Due | null, usual: () => Answer, drop: () => Answer = () => {}): Answer {
    if (due === null) return usual()
    due.note()
    const { delay: wait, cut, reply } = due.rule
    const act = (): Answer => {
      if (controls.waiting(this.#handler) === 'end') return // the client has left meanwhile
      if (cut !== undefined) return cutOff(this.#handler, cut, reply)
      if (reply?.positive === false) return after(drop(), () => reply)
      return after(usual(), answer => (answer?.positive === true ? (reply ?? answer) : answer))
    }
    return wait === undefined ? act() : delay(this.#timers, wait).then(act)
  }

  /** The octets of a chunk that is refused come all the same, and so do the chunks behind. [RFC 3030 §2] */
  #dropChunk(usual: () => Answer): Answer {
    const { state } = sessionOf(this.#handler)
    if (state.phase === 'recipients' || state.phase === 'chunks') state.phase = 'failed'
    return usual()
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
