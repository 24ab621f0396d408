// Channels → log lines: one for each session, one for each transaction, other events by their level. What came from the
// wire is escaped before it gets into JSON. No line contains a secret.

import { connectionChannel, type ConnectionEvent } from '../../server/diagnostics.ts'
import {
  channels,
  type CommandEvent,
  type ErrorEvent,
  type LimitEvent,
  type NoticeEvent,
  type ReplyEvent,
  type SessionEvent,
  type TransactionEvent,
} from '../../smtp/diagnostics.ts'
import type { Session } from '../../smtp/session.ts'
import { tlsChannel, type TlsFailureEvent } from '../../tls/tls-failure.ts'
import { printable } from '../../words/printable.ts'
import { subscribe, together, type Unsubscribe } from '../subscriptions.ts'
import { kamaeliaLine } from './kamaelia-line.ts'
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

/** Logs events to what `sinks` returns at that time, until the returned function is called. */
export function logEvents(sinks: () => EventSinks): Unsubscribe {
  const tallies = new WeakMap<Session, Tally>()
  const tallyOf = (session: Session): Tally => {
    let tally = tallies.get(session)
    if (tally === undefined) tallies.set(session, (tally = newTally()))
    return tally
  }

  const onSession = ({ event, session }: SessionEvent): void => {
    const tally = tallyOf(session)
    if (event === 'start') return
    const transactions = Object.values(tally.messages).some(count => count > 0)
    const { log, kamaelia } = sinks()
    if (kamaelia === null)
      log.info({ session: session.id, ...describeClient(session), ...describeTally(tally) }, 'session')
    else if (!transactions) kamaelia(kamaeliaLine(session, session.envelope, null))
  }

  const onTransaction = ({ session, envelope, octets, milliseconds, verdict }: TransactionEvent): void => {
    const tally = tallyOf(session)
    const word = verdictOf(verdict)
    tally.messages[word] += 1
    tally.octets += octets
    const { log, kamaelia } = sinks()
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
      },
      'transaction',
    )
  }

  const onCommand = ({ session, verb, argument }: CommandEvent): void => {
    const tally = tallyOf(session)
    tally.commands += 1
    tally.command = showCommand(verb, argument)
    sinks().log.debug({ session: session.id, command: tally.command }, 'command')
  }

  const onReply = ({ session, reply }: ReplyEvent): void => {
    countReply(tallyOf(session), reply)
    const { log } = sinks()
    if (log.isLevelEnabled('debug')) log.debug({ session: session.id, reply: showReply(reply) }, 'reply')
  }

  const onLimit = ({ session, limit }: LimitEvent): void => {
    const { limits } = tallyOf(session)
    if (limits.has(limit)) return // once a session: a client can pass a limit as often as it likes
    limits.add(limit)
    sinks().log.warn({ session: session.id, client: session.client.address, limit }, 'limit')
  }

  const onNotice = ({ session, verb, argument, acceptedBy }: NoticeEvent): void => {
    const what = { client: session.client.address, command: showCommand(verb, argument), strictness: acceptedBy }
    sinks().log.info({ session: session.id, ...what }, 'refused; this strictness accepts it')
  }

  const onError = ({ session, error }: ErrorEvent): void => {
    const message = session.envelope === null ? {} : { message: session.envelope.id }
    sinks().log.error({ session: session.id, ...message, ...showError(error) }, 'error')
  }

  const onConnection = ({ event, client, refusal, error }: ConnectionEvent): void => {
    if (event !== 'refused' || refusal === 'tls') return // onTlsFailure logs that
    const fields = { client: client.address, refusal, ...(error === null ? {} : { error: printable(error.message) }) }
    sinks().log.info(fields, 'connection refused')
  }

  const onTlsFailure = ({ session, how, client, kind, reason }: TlsFailureEvent): void => {
    sinks().log.info({ ...(session !== null && { session }), client: client.address, how, kind, reason }, 'TLS failed')
  }

  return together([
    subscribe(channels.session, onSession),
    subscribe(channels.transaction, onTransaction),
    subscribe(channels.command, onCommand),
    subscribe(channels.reply, onReply),
    subscribe(channels.limit, onLimit),
    subscribe(channels.notice, onNotice),
    subscribe(channels.error, onError),
    subscribe(connectionChannel, onConnection),
    subscribe(tlsChannel, onTlsFailure),
  ])
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
