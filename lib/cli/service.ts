// One process that accepts mail: its servers and logs, and the configuration that they are made of, which can be replaced
// while it runs.

import type { Socket } from 'node:net'
import { createServer, type MailServer } from '../server/mail-server.ts'
import type { TlsContexts } from '../tls/tls-contexts.ts'
import { SmtpHandler } from '../smtp/smtp-handler.ts'
import { closeLogs, reopenLogs } from '../log/line-log.ts'
import type { Config } from './config/config.ts'
import { describeProbe } from './describe-probe.ts'
import type { Destination } from './destination.ts'
import type { Loaded } from './config/load.ts'
import { logEvents, type EventSinks } from './log/event-log.ts'
import { lineWriter, openLog, type Logger } from './log/logger.ts'
import type { WithModules } from './modules.ts'
import { makeSettings, serverOptions, type Settings } from './settings.ts'
import { closeStores, openStores } from './stores.ts'

/** A process that accepts mail. */
export interface Service {
  /** The addresses that it listens at. */
  readonly addresses: readonly string[]
  readonly log: Logger
  /** The configuration of new sessions. */
  readonly config: Config
  /** Where the messages of new sessions go. */
  readonly destination: Destination
  /** Takes a connection that another process accepted, for the listener with this index. */
  accept(listener: number, socket: Socket): void
  /**
   * Applies a configuration to new sessions, and opens the logs again. Throws a ConfigError, and then nothing has changed.
   */
  reload(loaded: Loaded & WithModules): void
  /** Ends the service within so many milliseconds. A second call can shorten that time. */
  close(within: number): Promise<void>
}

/** What a service needs beside its settings. */
export interface ServiceContext {
  /** The number among several workers; null without workers. */
  readonly worker: number | null
  /** Has the servers listen; resolves with their addresses. Called before the service writes to a file. */
  listen(servers: readonly MailServer[]): Promise<readonly string[]>
}

/** Keys whose new values are used after a restart only. */
const FIXED = ['listen', 'workers', 'user', 'group', 'maxConnections', 'perClient', 'metrics', 'status'] as const

/** Starts a service. Rejects with what `listen` rejects with. */
export async function startService(first: Settings, { worker, listen }: ServiceContext): Promise<Service> {
  let current = first
  let sinks = openSinks(current.config, worker)
  const contexts = first.tls === null ? null : currentContexts(() => (current.tls ?? first.tls!).strict)
  const servers = first.config.listen.map((listener, i) => {
    return createServer(serverOptions(first.config, listener, contexts), () => new SmtpHandler(current.handlers[i]!))
  })
  const addresses = await listen(servers)
  await openStores()
  const stopLogging = logEvents(() => sinks)
  for (const server of servers) server.on('error', error => sinks.log.error({ error: error.message }, 'server'))

  void greetUpstream(first.destination, () => sinks.log)

  return {
    addresses,
    get log() {
      return sinks.log
    },
    get config() {
      return current.config
    },
    get destination() {
      return current.destination
    },
    accept(listener, socket) {
      // As the server would have made it.
      socket.allowHalfOpen = true
      socket.setNoDelay(true)
      servers[listener]?.emit('connection', socket)
    },
    reload(loaded) {
      // Listeners stay what they are, whatever the file says of them now.
      const settings = makeSettings({ ...loaded, config: { ...loaded.config, listen: first.config.listen } })
      for (const key of FIXED) {
        if (JSON.stringify(loaded.config[key]) === JSON.stringify(first.config[key])) continue
        sinks.log.warn({ key }, 'this key needs a restart')
      }
      current.close()
      current = settings
      reopenLogs()
      sinks = openSinks(settings.config, worker)
      sinks.log.info('reloaded')
      void greetUpstream(settings.destination, () => sinks.log)
    },
    async close(within) {
      await Promise.all(servers.map(server => server.close({ within }).catch(() => {})))
      await closeStores()
      current.close()
      sinks.log.info('stopped')
      stopLogging()
      await closeLogs()
    },
  }
}

/** Logs what the servers of an upstream offer, or why they cannot be used: before the first mail, not after it. */
async function greetUpstream({ relay }: Destination, log: () => Logger): Promise<void> {
  for (const probed of relay === null ? [] : await relay.probe()) {
    const { fields, trouble } = describeProbe(probed)
    if (trouble === null) log().info(fields, 'upstream')
    else log().error({ ...fields, error: trouble }, 'the upstream cannot be used')
  }
}

function openSinks({ log }: Config, worker: number | null): EventSinks {
  return { log: openLog(log, worker), kamaelia: log.format === 'kamaelia' ? lineWriter(log) : null }
}

/** Makes contexts of implicit TLS that are those of the current configuration. */
function currentContexts(current: () => TlsContexts): TlsContexts {
  return {
    context: () => current().context(),
    SNICallback: (servername, callback) => current().SNICallback(servername, callback),
    reload: () => current().reload(),
  }
}
