// Channels → log lines: one for each session, one for each transaction, other events by their level. What came from the
// wire is escaped before it gets into JSON. No line contains a secret.

import { upstreamChannel, type UpstreamEvent } from '../../deliveries/relay/diagnostics.ts'
import { connectionChannel, type ConnectionEvent } from '../../server/diagnostics.ts'
import { NOTHING_SENT } from '../../server/proxy-reader.ts'
import {
  channels,
  type CommandEvent,
  type ErrorEvent,
  type LimitEvent,
  type LoginEvent,
  type NoticeEvent,
  type ReplyEvent,
  type SessionEvent,
  type TransactionEvent,
} from '../../smtp/diagnostics.ts'
import type { Session } from '../../smtp/session.ts'
import { tlsChannel, type TlsFailureEvent } from '../../tls/tls-failure.ts'
import { printable } from '../../words/printable.ts'
import { subscribe, together, type Unsubscribe } from '../subscriptions.ts'
import { logGreylisting } from './greylist-events.ts'
import { kamaeliaLine } from './kamaelia-line.ts'
import { logLists, logZones } from './list-events.ts'
import type { Logger } from './logger.ts'
import { countReply, newTally, showCommand, showReply, verdictOf, type Tally } from './session-tally.ts'

/** Recipients of a transaction that are logged; further ones are only counted. */
const RECIPIENTS = 20
const STACK = 2000

/** The logs that {@link logEvents} writes to. */
export interface EventSinks {
  readonly log: Logger
  /** Gets the lines of sessions and transactions in the format of Kamaelia, instead of `log`; null for JSON. */
  readonly kamaelia: ((line: string) => void) | null
}

/** Writes what happens to what `sinks` gives at that time, until the function that it returns is called. */
export function logEvents(sinks: () => EventSinks): Unsubscribe {
  const log = new EventLog(sinks)
  return together([
    ...logGreylisting(() => sinks().log),
    logLists(() => sinks().log),
    logZones(() => sinks().log),
    subscribe(channels.session, (event: SessionEvent) => log.session(event)),
    subscribe(channels.transaction, (event: TransactionEvent) => log.transaction(event)),
    subscribe(channels.command, (event: CommandEvent) => log.command(event)),
    subscribe(channels.reply, (event: ReplyEvent) => log.reply(event)),
    subscribe(channels.limit, (event: LimitEvent) => log.limit(event)),
    subscribe(channels.login, (event: LoginEvent) => log.login(event)),
    subscribe(channels.notice, (event: NoticeEvent) => log.notice(event)),
    subscribe(channels.error, (event: ErrorEvent) => log.error(event)),
    subscribe(connectionChannel, (event: ConnectionEvent) => log.connection(event)),
    subscribe(tlsChannel, (event: TlsFailureEvent) => log.tlsFailure(event)),
    subscribe(upstreamChannel, (event: UpstreamEvent) => log.upstream(event)),
  ])
}

/** The line for each event; a method a channel. */
class EventLog {
  readonly #sinks: () => EventSinks
  readonly #tallies = new WeakMap<Session, Tally>()

  constructor(sinks: () => EventSinks) {
    this.#sinks = sinks
  }

  session({ event, session }: SessionEvent): void {
    const tally = this.#tallyOf(session)
    if (event === 'start') return
    const transactions = Object.values(tally.messages).some(count => count > 0)
    const { log, kamaelia } = this.#sinks()
    // A proxy that looks whether this side is there closes at once, without a word; so does a port scan.
    const isHealthCheck = tally.commands === 0 && session.ending === 'lost' && tally.limits.size === 0
    if (kamaelia !== null) {
      if (!transactions) kamaelia(kamaeliaLine(session, session.envelope, null))
      return
    }
    const fields = { session: session.id, ...describeClient(session), ...describeTally(tally) }
    if (isHealthCheck) log.debug(fields, 'session')
    else log.info(fields, 'session')
  }

  transaction({ session, envelope, octets, milliseconds, verdict }: TransactionEvent): void {
    const tally = this.#tallyOf(session)
    const word = verdictOf(verdict)
    tally.messages[word] += 1
    tally.octets += octets
    tally.concluded = envelope
    const { log, kamaelia } = this.#sinks()
    if (kamaelia !== null) return kamaelia(kamaeliaLine(session, envelope, word))
    log.info(
      {
        session: session.id,
        message: envelope.id,
        ...describeClient(session),
        sender: printable(envelope.sender.address),
        recipients: envelope.recipients.slice(0, RECIPIENTS).map(({ address }) => printable(address)),
        recipientCount: envelope.recipients.length,
        octets,
        ms: Math.round(milliseconds),
        verdict: word,
        reply: verdict[0] === undefined ? null : showReply(verdict[0]),
        ...tally.answered,
      },
      'transaction',
    )
  }

  command({ session, verb, argument }: CommandEvent): void {
    const tally = this.#tallyOf(session)
    tally.commands += 1
    tally.command = showCommand(verb, argument)
    tally.concluded = null
    tally.answered = {}
    const { log } = this.#sinks()
    if (log.isLevelEnabled('debug')) log.debug({ ...ids(session), command: tally.command }, 'command')
  }

  reply({ session, reply }: ReplyEvent): void {
    const tally = this.#tallyOf(session)
    countReply(tally, reply)
    const { log } = this.#sinks()
    if (log.isLevelEnabled('debug')) log.debug({ ...ids(session, tally), reply: showReply(reply) }, 'reply')
  }

  limit({ session, limit }: LimitEvent): void {
    const { limits } = this.#tallyOf(session)
    if (limits.has(limit)) return // once a session: a client can pass a limit as often as it likes
    limits.add(limit)
    this.#sinks().log.warn({ ...ids(session), client: session.client.address, limit }, 'limit')
  }

  login({ session, mechanism, user, reply }: LoginEvent): void {
    // examples/fail2ban reads this line.
    const who = { client: session.client.address, user: user === null ? null : printable(user, 200), mechanism }
    this.#sinks().log.warn({ ...ids(session), ...who, reply: showReply(reply) }, 'login failed')
  }

  notice({ session, verb, argument, acceptedBy }: NoticeEvent): void {
    const what = { client: session.client.address, command: showCommand(verb, argument), strictness: acceptedBy }
    this.#sinks().log.info({ ...ids(session), ...what }, 'refused; this strictness accepts it')
  }

  error({ session, error }: ErrorEvent): void {
    this.#sinks().log.error({ ...ids(session, this.#tallyOf(session)), ...showError(error) }, 'error')
  }

  connection({ event, client, refusal, error }: ConnectionEvent): void {
    if (event !== 'refused' || refusal === 'tls') return // tlsFailure logs that
    const { log } = this.#sinks()
    const what = { client: client.address, refusal }
    if (refusal === 'proxy' && error?.message === NOTHING_SENT) log.debug(what, 'connection closed without a word')
    else if (refusal === 'handler' && error !== null) log.error({ ...what, ...showError(error) }, 'connection refused')
    else log.info(error === null ? what : { ...what, error: printable(error.message) }, 'connection refused')
  }

  tlsFailure({ session, how, client, kind, reason }: TlsFailureEvent): void {
    const what = { client: client.address, how, kind, reason }
    this.#sinks().log.info(session === null ? what : { session, ...what }, 'TLS failed')
  }

  upstream({ session, upstream, step, reply, error, milliseconds }: UpstreamEvent): void {
    const ms = Math.round(milliseconds)
    const shown = reply === null ? null : showReply(reply)
    if (session !== null && step !== 'open') {
      const answered = { upstream, ...(shown === null ? {} : { upstreamReply: shown }), upstreamMs: ms }
      this.#tallyOf(session).answered = answered
    }
    const { log } = this.#sinks()
    // Without a session it is a probe: what it has found is logged by whoever has asked for it.
    const isWarning = error !== null && session !== null
    if (!isWarning && !log.isLevelEnabled('debug')) return
    const why = error === null ? {} : { code: error.code, at: error.step, error: printable(error.message) }
    const what = { ...(session === null ? {} : ids(session)), upstream, step, reply: shown, ms, ...why }
    if (isWarning) log.warn(what, 'upstream failed')
    else log.debug(what, 'upstream')
  }

  #tallyOf(session: Session): Tally {
    let tally = this.#tallies.get(session)
    if (tally === undefined) this.#tallies.set(session, (tally = newTally()))
    return tally
  }
}

/** The ids of a session and of its message; with a tally, also of one whose verdict is on its way. */
function ids(session: Session, tally: Tally | null = null): object {
  const envelope = session.envelope ?? tally?.concluded ?? null
  return envelope === null ? { session: session.id } : { session: session.id, message: envelope.id }
}

/** Shows an error of this program in a log, with the code and path of the system's error. Its text may come from anywhere. */
export function showError(error: Error): object {
  const { cause } = error
  const { code, path, syscall } = { ...systemFields(cause), ...systemFields(error) }
  const stack = (error.stack ?? '').split('\n').map(line => printable(line.trim(), 200))
  return {
    error: printable(error.message),
    ...(code === undefined ? {} : { code }),
    ...(path === undefined ? {} : { path: printable(path) }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(cause instanceof Error ? { cause: printable(cause.message) } : {}),
    stack: stack.slice(1, STACK / 200),
  }
}

function systemFields(error: unknown): { code?: string; path?: string; syscall?: string } {
  const fields = Object(error) as Record<string, unknown>
  const texts = ['code', 'path', 'syscall'].filter(key => typeof fields[key] === 'string')
  return Object.fromEntries(texts.map(key => [key, fields[key]]))
}

function describeClient(session: Session): object {
  const { client, helo, protocol, tls, user } = session
  return {
    client: client.address,
    ...(client.name === null ? {} : { name: printable(client.name) }),
    helo: helo === null ? null : printable(helo),
    protocol,
    ...(tls === null ? {} : { tls: tls.version, cipher: tls.cipher }),
    ...(user === null ? {} : { user: printable(user) }),
  }
}

function describeTally({ began, commands, octets, refused, refusals, limits, messages }: Tally): object {
  return {
    ms: Math.round(performance.now() - began),
    commands,
    messages,
    octets,
    refused,
    ...(refusals.length === 0 ? {} : { refusals }),
    ...(limits.size === 0 ? {} : { limits: [...limits] }),
  }
}
