// `mailhandler serve`: one process that does it all, or a primary with workers (supervisor.ts, worker.ts).

import type { CommandLine } from './command-line.ts'
import { readConfigText, type Loaded } from './config/load.ts'
import { handedOver, listen, listenAll } from './listening.ts'
import { openStandardError } from './log/logger.ts'
import { logProcessEvents } from './log/process-events.ts'
import { metricsServer } from './metrics/http.ts'
import { requirePromClient } from './metrics/prom-client.ts'
import { collectFor, countFor, makeStatus } from './monitoring.ts'
import { deliveryProbe } from './readiness.ts'
import { onReloadSignal } from './reload-signal.ts'
import { announce, becomeUser, load, logProblems, reloading, stopper } from './running.ts'
import { startService, type Service } from './service.ts'
import { loadParts } from './modules.ts'
import { makeSettings, type Settings } from './settings.ts'
import { supervise } from './supervisor.ts'
import { work } from './worker.ts'
import { workerNumber } from './worker-environment.ts'

/** Serves until it is told to stop; resolves with the exit code. Rejects with what kept it from starting. */
export async function serve(commandLine: CommandLine): Promise<number> {
  const worker = workerNumber()
  if (worker !== null) return work(commandLine, worker)
  const text = readConfigText(commandLine.config)
  const loaded = await loadParts(load(commandLine, text))
  const settings = makeSettings(loaded)
  await requirePromClient(loaded)
  const { config } = settings
  return config.workers > 1 ? supervise(commandLine, text, settings) : serveAlone(commandLine, settings, loaded)
}

async function serveAlone(commandLine: CommandLine, settings: Settings, loaded: Loaded): Promise<number> {
  const { config } = settings
  const standardError = openStandardError(config.log, null)
  let service: Service | null = null
  logProcessEvents(() => ({ log: service?.log ?? standardError, standardError }))
  const upstreams = () => (service?.destination ?? settings.destination).relay?.stats() ?? []
  const metricsAt = config.metrics.listen
  const counted = await countFor(config, upstreams, () => service?.config ?? null)
  let notAccepting: string | null = 'starting'
  const probe = deliveryProbe({
    destination: () => service?.destination ?? settings.destination,
    log: () => service?.log ?? standardError,
  })
  const status = await makeStatus(settings)
  await collectFor(
    config,
    () => service?.config ?? null,
    batch => status?.book.add(0, batch),
  )
  const source = {
    read: (isOpenMetrics: boolean) => counted!.read(isOpenMetrics),
    whyNotReady: async () => notAccepting ?? probe(),
  }
  const web = metricsServer(source, status?.pages)
  const metricsAddress = metricsAt === undefined ? null : await listen(web.server, metricsAt, [])
  const started = (service = await startService(settings, {
    worker: null,
    async listen(servers) {
      const addresses = await listenAll(servers, config.listen, handedOver(process.pid))
      becomeUser(config)
      return addresses
    },
  }))
  notAccepting = null

  return new Promise(resolve => {
    const stop = stopper(config, {
      inOrder(signal, within) {
        started.log.info({ signal }, 'stopping')
        notAccepting = 'stopping'
        void started
          .close(within)
          .then(() => web.close())
          .then(() => resolve(0))
      },
      atOnce: () => process.exit(1),
    })
    process.on('SIGTERM', stop).on('SIGINT', stop)
    onReloadSignal(() => {
      void reloading(started.log, async () => {
        const next = await loadParts(load(commandLine, readConfigText(commandLine.config)))
        started.reload(next)
        void logProblems(started.log, next, started.destination)
      })
    })
    // Behind the signals: who reads that it listens may send one at once.
    announce(started.log, settings, started.addresses, metricsAddress)
    void logProblems(started.log, loaded, started.destination)
  })
}
