// What a server without workers, a primary and its workers have in common.

import type { CommandLine } from './command-line.ts'
import type { Config } from './config/config.ts'
import { loadConfig, type Loaded } from './config/load.ts'
import { ConfigError, showProblem } from './config/problems.ts'
import { passesOn } from './config/upstream.ts'
import type { Destination } from './destination.ts'
import { environmentProblems } from './environment.ts'
import { handedOver } from './listening.ts'
import type { Logger } from './log/logger.ts'
import { tellPeople } from './log/people.ts'
import { dropPrivileges } from './privileges.ts'
import type { Settings } from './settings.ts'
import { version } from './version.ts'

/** Domains that the first line names. */
const SHOWN = 3

/** Reads the configuration, the command line, and what systemd says to the process `pid`. Throws a ConfigError. */
export function load(
  { config: file, overrides, own = {} }: CommandLine,
  text: string,
  pid: number = process.pid,
): Loaded {
  const listen = handedOver(pid).map((_, i) => ({ address: `systemd:${i}` }))
  const defaults = listen.length === 0 ? [] : [{ option: 'LISTEN_FDS', path: ['listen'], value: listen }]
  return { ...loadConfig(file, text, { overrides, defaults }), own }
}

/** Calls `reload`; logs what it throws, and the configuration stays as it was. Resolves once that is done; never rejects. */
export function reloading(log: Logger, reload: () => Promise<void>): Promise<void> {
  lastReload = lastReload.then(reload).catch((error: Error) => {
    const problems = error instanceof ConfigError ? error.message.split('\n') : [error.message]
    log.error({ problems }, 'not reloaded: the configuration has errors, the one before stays')
  })
  return lastReload
}

/** One after the other: the last configuration stays. */
let lastReload = Promise.resolve()

/** Makes the listener for signals that end the server: the first ends it in order, the second at once. */
export function stopper(
  { shutdownTimeout }: Config,
  end: { inOrder(signal: string, within: number): void; atOnce(): void },
): (signal: string) => void {
  let stopping = false
  return signal => {
    if (stopping) return end.atOnce()
    stopping = true
    end.inOrder(signal, shutdownTimeout)
  }
}

/** Becomes the user of the configuration, if there is one, and gives up the rights of root. */
export function becomeUser({ user, group }: Config): void {
  if (user !== undefined) dropPrivileges({ user, group })
}

/** Returns what to tell people if the server runs as root without need, else null. Called once it is the user it stays. */
export function rootNote(config: Config): string | null {
  if (process.getuid?.() !== 0 || config.user !== undefined) return null
  const { webhook, module } = config.delivery ?? {}
  const hasMaildir = !passesOn(config) && webhook === undefined && module === undefined
  const account = hasMaildir ? 'the account that the Maildir belongs to' : 'another account'
  return `it runs as root: set user to ${account}`
}

/** Logs what is wrong with files and folders of the configuration, and that the server runs as root. */
export async function logProblems(log: Logger, loaded: Loaded, destination: Destination): Promise<void> {
  for (const problem of await environmentProblems(loaded, destination)) log.warn(showProblem(problem))
  const note = rootNote(loaded.config)
  if (note === null) return
  log.warn(note)
  if (loaded.config.log.file !== undefined) tellPeople(`mailhandler: ${note}`)
}

/** Says in words what the server does with mail. */
export function describeService({
  config,
  destination: { kind, place },
}: Pick<Settings, 'config' | 'destination'>): string {
  const { recipients, greylist } = config
  const domains = recipients.domains ?? ['*']
  const isAll = domains.includes('*')
  const more = domains.length > SHOWN ? ` and ${domains.length - SHOWN} more` : ''
  const whose = isAll ? 'for every recipient' : `for ${domains.slice(0, SHOWN).join(', ')}${more}`
  const waiting =
    greylist === undefined ? '' : greylist.mode === 'observe' ? ', greylisting observes' : ', after greylisting'
  return `mail ${whose} goes to ${kind} ${place}${waiting}${isAll ? '' : '; other recipients are refused'}`
}

/** Logs that mail is accepted; tells it to people too if the log goes to a file. */
export function announce(log: Logger, settings: Settings, addresses: readonly string[], metrics: string | null): void {
  const { config, destination } = settings
  const { file } = config.log
  const { fields, place } = destination
  const where = addresses.join(', ')
  log.info(describeService(settings))
  log.info({ addresses, metrics, configuration: settings.file, ...fields, version: version() }, `listening on ${where}`)
  if (file !== undefined) tellPeople(`mailhandler listens on ${where}, delivers to ${place}, logs to ${file}`)
}
