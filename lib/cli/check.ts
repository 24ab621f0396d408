// `mailhandler check`: finds all problems of a configuration and of what it names.

import type { CommandLine } from './command-line.ts'
import type { Config } from './config/config.ts'
import { readConfigText, type Loaded } from './config/load.ts'
import { ConfigError, showProblem, type Problem } from './config/problems.ts'
import { environmentProblems } from './environment.ts'
import { requirePromClient } from './metrics/prom-client.ts'
import { accountProblem, dropPrivileges } from './privileges.ts'
import { load, rootNote } from './running.ts'
import { makeSettings } from './settings.ts'

/** What `check` found, a line each. */
export interface Findings {
  /** A server with this configuration would not start, or would not accept mail. */
  readonly problems: readonly string[]
  /** It would, but people should know. */
  readonly notes: readonly string[]
}

/** Checks a configuration. If it names a user and this process is root, the process becomes that user. */
export async function checkConfig(commandLine: CommandLine): Promise<Findings> {
  try {
    const loaded = load(commandLine, readConfigText(commandLine.config))
    makeSettings(loaded)
    await requirePromClient(loaded)
    const problems = unknownAccount(loaded)
    const unreadable = problems.length === 0 ? rereadAsUser(loaded) : []
    problems.push(...(await environmentProblems(loaded)))
    const note = rootNote(loaded.config)
    // A server without workers reads these files as root when it starts.
    if (loaded.config.workers > 1) problems.push(...unreadable)
    const onReload = loaded.config.workers > 1 ? [] : unreadable.map(each => `on SIGHUP: ${showProblem(each)}`)
    return { problems: problems.map(showProblem), notes: [...onReload, ...(note === null ? [] : [note])] }
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems.map(showProblem), notes: [] }
    throw error
  }
}

function unknownAccount({ config: { user, group }, problem }: Loaded): Problem[] {
  const found = user === undefined ? null : accountProblem({ user, group })
  return found === null ? [] : [problem([found[0]], found[1])]
}

/** Becomes the user, and finds what it cannot read. */
function rereadAsUser(loaded: Loaded): readonly Problem[] {
  if (!canBecomeUser(loaded.config)) return []
  dropPrivileges(loaded.config)
  try {
    makeSettings(loaded)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

function canBecomeUser(config: Config): config is Config & { user: string } {
  return config.user !== undefined && process.getuid?.() === 0
}
