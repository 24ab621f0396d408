// What a server that runs alone, a primary and its workers have in common.

import type { CommandLine } from './command-line.ts'
import type { Config } from './config/config.ts'
import { ConfigError, loadConfig, type Loaded } from './config/load.ts'
import { handedOver } from './listening.ts'
import type { Logger } from './log/logger.ts'
import { tellPeople } from './log/people.ts'
import { dropPrivileges } from './privileges.ts'
import { version } from './version.ts'

/** The configuration, with what the command line and systemd say. `pid`: whom systemd has handed sockets to. */
export function load({ config: file, overrides }: CommandLine, text: string, pid: number = process.pid): Loaded {
  const listen = handedOver(pid).map((_, i) => ({ address: `systemd:${i}` }))
  const defaults = listen.length === 0 ? [] : [{ option: 'LISTEN_FDS', path: ['listen'], value: listen }]
  return loadConfig(file, text, { overrides, defaults })
}

/** Reads anew; what is wrong is said in the log, and nothing has changed then. */
export function reloading(log: Logger, reload: () => void): void {
  try {
    reload()
  } catch (error) {
    const problems = error instanceof ConfigError ? error.message.split('\n') : [(error as Error).message]
    log.error({ problems }, 'not reloaded: the configuration is wrong, the one before stays')
  }
}

/** What the first signal to end does, and the second. */
export function stopper(
  { shutdownTimeout }: Config,
  how: { gently(signal: string, within: number): void; atOnce(): void },
): (signal: string) => void {
  let stopping = false
  return signal => {
    if (stopping) return how.atOnce()
    stopping = true
    how.gently(signal, shutdownTimeout)
  }
}

/** Gives the rights of root up, where the configuration says for whom. */
export function become({ user, group }: Config): void {
  if (user !== undefined) dropPrivileges({ user, group })
}

/** Says that mail is taken: in the log, and to people where that goes elsewhere. */
export function announce(log: Logger, { maildir, log: { file } }: Config, addresses: readonly string[]): void {
  const where = addresses.join(', ')
  log.info({ addresses, maildir, version: version() }, `listening on ${where}`)
  if (file !== undefined) tellPeople(`mailhandler listens on ${where}, delivers to ${maildir}, logs to ${file}`)
}
