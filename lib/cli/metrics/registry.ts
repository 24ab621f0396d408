// Channels → metrics, in a registry of its own. Values of labels come from fixed sets, never from the wire.

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry, type OpenMetricsContentType } from 'prom-client'
import { connectionChannel, type ConnectionEvent } from '../../server/diagnostics.ts'
import {
  channels,
  type CommandEvent,
  type LimitEvent,
  type RefusalEvent,
  type ReplyEvent,
  type SessionEvent,
  type TransactionEvent,
} from '../../smtp/diagnostics.ts'
import type { Session } from '../../smtp/session.ts'
import { droppedLines } from '../../log/line-log.ts'
import { COMMANDS } from '../../protocol/commands/command-table.ts'
import { verdictOf } from '../log/session-tally.ts'
import { tlsChannel, type TlsFailureEvent } from '../../tls/tls-failure.ts'
import type { Config } from '../config/config.ts'
import { countGreylisting } from './greylisting.ts'
import type { UpstreamStats } from '../../deliveries/relay/upstream.ts'
import { countUpstreams } from './upstreams.ts'
import { showFacts } from './host-facts.ts'
import { metricsText, type MetricsText, type Snapshot } from './metrics-text.ts'
import { subscribe, together, type Unsubscribe } from '../subscriptions.ts'

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]
const OCTETS = [1024, 4096, 16_384, 65_536, 262_144, 2 ** 20, 4 * 2 ** 20, 16 * 2 ** 20, 64 * 2 ** 20]

/** Counts events until `stop` is called. */
export interface Metrics {
  readonly stop: Unsubscribe
  /** Returns the counts. */
  snapshot(): Promise<Snapshot>
  /** Returns the counts as text. */
  read(isOpenMetrics: boolean): Promise<MetricsText>
}

/** Starts to count events. `upstreams` gives the counts of the upstreams, `current` the configuration, at that time. */
export function countEvents(
  upstreams: () => readonly UpstreamStats[] = () => [],
  current: () => Pick<Config, 'tls'> = () => ({}),
): Metrics {
  // Only such a registry takes exemplars; its own text is not used, see metricsText().
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const stop = together([
    ...countConnections(registers),
    ...countSessions(registers),
    ...countDialogues(registers),
    ...countTransactions(registers),
    ...countTrouble(registers),
    ...countGreylisting(registers),
    ...countUpstreams(registers, upstreams),
  ])
  countDroppedLines(registry)
  showFacts(registry, current)
  const snapshot = async (): Promise<Snapshot> => (await registry.getMetricsAsJSON()) as unknown as Snapshot
  return { stop, snapshot, read: async isOpenMetrics => metricsText(await snapshot(), isOpenMetrics) }
}

type Registers = Registry<OpenMetricsContentType>[]

function countConnections(registers: Registers): Unsubscribe[] {
  const open = new Gauge({ name: 'mailhandler_connections', help: 'Connections at the moment.', registers })
  const total = new Counter({ name: 'mailhandler_connections_total', help: 'Connections accepted.', registers })
  const refused = new Counter({
    name: 'mailhandler_connections_refused_total',
    help: 'Connections refused, by reason: a limit, a bad PROXY header, a failed TLS handshake, shutdown.',
    labelNames: ['reason'],
    registers,
  })
  return [
    subscribe(connectionChannel, ({ event, refusal }: ConnectionEvent) => {
      if (event === 'refused') return refused.inc({ reason: refusal ?? 'other' })
      if (event === 'accepted') total.inc()
      open.inc(event === 'accepted' ? 1 : -1)
    }),
  ]
}

function countSessions(registers: Registers): Unsubscribe[] {
  const open = new Gauge({ name: 'mailhandler_sessions', help: 'Sessions at the moment.', registers })
  const total = new Counter({ name: 'mailhandler_sessions_total', help: 'Sessions begun.', registers })
  const secure = new Counter({
    name: 'mailhandler_sessions_tls_total',
    help: 'Sessions that ended under TLS.',
    registers,
  })
  const seconds = new Histogram({
    name: 'mailhandler_session_duration_seconds',
    help: 'How long sessions took.',
    buckets: SECONDS,
    registers,
  })
  const began = new WeakMap<Session, number>()
  return [
    subscribe(channels.session, ({ event, session }: SessionEvent) => {
      if (event === 'start') {
        began.set(session, performance.now())
        total.inc()
        open.inc()
        return
      }
      open.dec()
      if (session.tls !== null) secure.inc()
      seconds.observe((performance.now() - (began.get(session) ?? performance.now())) / 1000)
    }),
  ]
}

function countDialogues(registers: Registers): Unsubscribe[] {
  const commands = new Counter({
    name: 'mailhandler_commands_total',
    help: 'Commands, by verb; unknown ones as "other".',
    labelNames: ['verb'],
    registers,
  })
  const replies = new Counter({
    name: 'mailhandler_replies_total',
    help: 'Replies, by the first digit of the code.',
    labelNames: ['class'],
    registers,
  })
  return [
    subscribe(channels.command, ({ verb }: CommandEvent) =>
      commands.inc({ verb: COMMANDS.has(verb) ? verb : 'other' }),
    ),
    subscribe(channels.reply, ({ reply }: ReplyEvent) => replies.inc({ class: `${Math.floor(reply.code / 100)}xx` })),
  ]
}

function countTransactions(registers: Registers): Unsubscribe[] {
  const total = new Counter({
    name: 'mailhandler_transactions_total',
    help: 'Transactions with mail data, by verdict: accepted, deferred, refused, or lost with the client.',
    labelNames: ['verdict'],
    registers,
    enableExemplars: true,
  })
  const seconds = new Histogram({
    name: 'mailhandler_transaction_duration_seconds',
    help: 'From DATA or the first BDAT to the verdict.',
    buckets: SECONDS,
    registers,
    enableExemplars: true,
  })
  const recipients = new Counter({
    name: 'mailhandler_recipients_total',
    help: 'Recipients of accepted messages.',
    registers,
  })
  const octets = new Histogram({
    name: 'mailhandler_message_octets',
    help: 'Octets of mail data of each transaction.',
    buckets: OCTETS,
    registers,
  })
  return [
    subscribe(channels.transaction, ({ envelope, verdict, octets: size, milliseconds }: TransactionEvent) => {
      const word = verdictOf(verdict)
      const exemplarLabels = { message: envelope.id } as object // prom-client's types allow only the labels of the metric
      total.inc({ labels: { verdict: word }, value: 1, exemplarLabels })
      seconds.observe({ labels: {}, value: milliseconds / 1000, exemplarLabels })
      octets.observe(size)
      if (word === 'accepted') recipients.inc(envelope.recipients.length)
    }),
  ]
}

function countTrouble(registers: Registers): Unsubscribe[] {
  const limits = new Counter({
    name: 'mailhandler_limits_total',
    help: 'Limits passed in sessions, by the name of the option.',
    labelNames: ['limit'],
    registers,
  })
  const refusals = new Counter({
    name: 'mailhandler_refusals_total',
    help: 'Refusals of hooks, by the hook and the policy that refused.',
    labelNames: ['hook', 'policy'],
    registers,
  })
  const tlsFailures = new Counter({
    name: 'mailhandler_tls_failures_total',
    help: 'TLS handshakes that failed, by starttls or implicit, and by the kind of failure.',
    labelNames: ['how', 'kind'],
    registers,
  })
  const errors = new Counter({
    name: 'mailhandler_errors_total',
    help: 'Errors of this side: of hooks, of delivery.',
    registers,
  })
  return [
    subscribe(channels.limit, ({ limit }: LimitEvent) => limits.inc({ limit })),
    subscribe(channels.refusal, ({ hook, policy }: RefusalEvent) => refusals.inc({ hook, policy })),
    subscribe(channels.error, () => errors.inc()),
    subscribe(tlsChannel, ({ how, kind }: TlsFailureEvent) => tlsFailures.inc({ how, kind })),
  ]
}

/** Adds the metric of log lines that this process has dropped. */
export function countDroppedLines(registry: Registry | Registry<OpenMetricsContentType>): void {
  registry.registerMetric(
    new Counter({
      name: 'mailhandler_log_lines_dropped_total',
      help: 'Log lines that were dropped because their target failed or was too slow.',
      registers: [],
      collect() {
        this.reset()
        this.inc(droppedLines())
      },
    }),
  )
}
