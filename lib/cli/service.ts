// One process that takes mail: its servers, its logs, what they are made with, and how that is replaced while it runs.

import { createServer } from '../server/mail-server.ts'
import type { MailServer } from '../server/mail-server.ts'
import type { ListenDescriptor } from '../server/systemd.ts'
import type { TlsContexts } from '../tls/tls-contexts.ts'
import { SmtpHandler } from '../smtp/smtp-handler.ts'
import { closeLogs, reopenLogs } from '../log/line-log.ts'
import type { Config } from './config/config.ts'
import type { Loaded } from './config/load.ts'
import { listen } from './listening.ts'
import { logEvents, type EventSinks } from './log/event-log.ts'
import { lineWriter, openLog, type Logger } from './log/logger.ts'
import { makeSettings, serverOptions, type Settings } from './settings.ts'

/** A process that takes mail. */
export interface Service {
  /** Where it listens. */
  readonly addresses: readonly string[]
  readonly log: Logger
  /** Has new sessions go by this configuration, and opens the logs anew. Throws a ConfigError, and changes nothing. */
  reload(loaded: Loaded): void
  /** Ends in good order within so many milliseconds. Called once more, it ends sooner. */
  close(within: number): Promise<void>
}

/** What of the world a service is given. */
export interface ServiceContext {
  readonly sockets: readonly ListenDescriptor[]
  /** The number among several workers. */
  readonly worker: number | null
  /** Called once it listens everywhere, before it writes to a file. */
  bound(): void
}

/** What only a new start can change. */
const FIXED = ['listen', 'workers', 'user', 'group', 'maxConnections', 'perClient', 'metrics'] as const

/** Starts a service. Rejects with a ListenError, and then listens nowhere. */
export async function startService(first: Settings, { sockets, worker, bound }: ServiceContext): Promise<Service> {
  let current = first
  let sinks = openSinks(current.config, worker)
  const contexts = first.tls === null ? null : currentContexts(() => current.tls ?? first.tls!)
  const servers = first.config.listen.map((listener, i) => {
    return createServer(serverOptions(first.config, listener, contexts), () => new SmtpHandler(current.handlers[i]!))
  })
  const addresses = await listenAll(servers, first.config, sockets)
  const stopLogging = logEvents(() => sinks)
  for (const server of servers) server.on('error', error => sinks.log.error({ error: error.message }, 'server'))

  return {
    addresses,
    get log() {
      return sinks.log
    },
    reload(loaded) {
      // Listeners stay what they are, whatever the file says of them now.
      const settings = makeSettings({ ...loaded, config: { ...loaded.config, listen: first.config.listen } })
      for (const key of FIXED) {
        if (JSON.stringify(loaded.config[key]) === JSON.stringify(first.config[key])) continue
        sinks.log.warn({ key }, 'this key changes only with a new start')
      }
      current = settings
      reopenLogs()
      sinks = openSinks(settings.config, worker)
      sinks.log.info('reloaded')
    },
    async close(within) {
      await Promise.all(servers.map(server => server.close({ within }).catch(() => {})))
      sinks.log.info('stopped')
      stopLogging()
      await closeLogs()
    },
  }

  async function listenAll(
    all: readonly MailServer[],
    config: Config,
    handed: readonly ListenDescriptor[],
  ): Promise<string[]> {
    try {
      const texts = await Promise.all(all.map((server, i) => listen(server, config.listen[i]!.address, handed)))
      bound()
      return texts
    } catch (error) {
      for (const server of all) if (server.listening) server.close()
      throw error
    }
  }
}

function openSinks({ log }: Config, worker: number | null): EventSinks {
  return { log: openLog(log, worker), kamaelia: log.format === 'kamaelia' ? lineWriter(log) : null }
}

/** Contexts that are always the newest. */
function currentContexts(current: () => TlsContexts): TlsContexts {
  return {
    context: () => current().context(),
    SNICallback: (servername, callback) => current().SNICallback(servername, callback),
    reload: () => current().reload(),
  }
}
