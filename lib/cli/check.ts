// `mailhandler check`: finds all problems of a configuration and of what it names.

import type { CommandLine } from './command-line.ts'
import type { Config } from './config/config.ts'
import { readConfigText, type Loaded } from './config/load.ts'
import { ConfigError, showProblem, type Problem } from './config/problems.ts'
import { showAddress } from './config/units.ts'
import { printable } from '../words/printable.ts'
import { notesOn } from './notes.ts'
import { describeOffer, describeProbe } from './describe-probe.ts'
import type { Destination } from './destination.ts'
import { environmentProblems } from './environment.ts'
import { requirePromClient } from './metrics/prom-client.ts'
import { accountProblem, dropPrivileges } from './privileges.ts'
import { load, rootNote } from './running.ts'
import { loadParts } from './modules.ts'
import { makeSettings } from './settings.ts'

/** What `check` found, a line each. */
export interface Findings {
  /** What upstreams offer. */
  readonly facts: readonly string[]
  /** A server with this configuration would not start, or would not accept mail. */
  readonly problems: readonly string[]
  /** It would, but people should know. */
  readonly notes: readonly string[]
}

/** Checks a configuration. If it names a user and this process is root, the process becomes that user. */
export async function checkConfig(commandLine: CommandLine): Promise<Findings> {
  try {
    const loaded = await loadParts(load(commandLine, readConfigText(commandLine.config)))
    const { destination } = makeSettings(loaded)
    await requirePromClient(loaded)
    const problems = unknownAccount(loaded)
    const unreadable = problems.length === 0 ? rereadAsUser(loaded) : []
    problems.push(...(await environmentProblems(loaded, destination)))
    // As the user: it may not be allowed to open the socket.
    const connected = commandLine.connect ? await connect(destination, loaded) : { facts: [], problems: [] }
    const note = rootNote(loaded.config)
    // A server without workers reads these files as root when it starts.
    if (loaded.config.workers > 1) problems.push(...unreadable)
    const onReload = loaded.config.workers > 1 ? [] : unreadable.map(each => `on SIGHUP: ${showProblem(each)}`)
    problems.push(...connected.problems)
    return {
      facts: connected.facts,
      problems: problems.map(showProblem),
      notes: [...(await notesOn(loaded, destination)).map(showProblem), ...onReload, ...(note === null ? [] : [note])],
    }
  } catch (error) {
    if (error instanceof ConfigError) return { facts: [], problems: error.problems.map(showProblem), notes: [] }
    throw error
  }
}

/** Opens a session with each server of an upstream. Without one there is nothing to say. */
async function connect(
  { relay }: Destination,
  { config, problem }: Loaded,
): Promise<{ readonly facts: readonly string[]; readonly problems: readonly Problem[] }> {
  if (relay === null) return { facts: [], problems: [problem([], '--connect needs an upstream')] }
  const facts: string[] = []
  const problems: Problem[] = []
  for (const probed of await relay.probe()) {
    const { fields, trouble } = describeProbe(probed)
    const user = accountAt(config, probed.upstream)
    if (trouble === null)
      facts.push(`${describeOffer(probed)}${user === undefined ? '' : `; AUTH as ${printable(user)} works`}`)
    else
      problems.push(
        problem(
          ['upstream', 'address'],
          `${probed.upstream} cannot be used: ${trouble} (${fields.code}, at ${fields.step})`,
        ),
      )
  }
  return { facts, problems }
}

/** The user who logs in at a server; undefined if nobody does. */
function accountAt({ upstream, routes = [] }: Config, server: string): string | undefined {
  const all = upstream === undefined ? routes : [upstream, ...routes]
  const found = all.find(({ address = [] }) => {
    return address.some(each => server === ('path' in each ? each.path : showAddress(each.host, each.port)))
  })
  return found?.auth?.user
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
