// `mailhandler greylist ACTION`: reads the command line and the configuration, opens the store, and hands over to
// greylist-actions.ts, which is loaded once the packages that it needs are known to be there.

import { quote, UsageError, type CommandLine } from './command-line.ts'
import { loadConfig, readConfigText } from './config/load.ts'
import { ConfigError } from './config/problems.ts'
import type { Action, Write } from './greylist-actions.ts'
import { openStore } from './stores.ts'
import { DEFAULT_FILE } from './find-config.ts'
import { loadGreylisting } from './waiting-policies.ts'

/** What each action takes. */
const ACTIONS = {
  stats: null,
  list: 'client?',
  show: 'client',
  allow: 'client',
  forget: 'client',
  export: null,
  import: 'file',
  report: null,
} as const satisfies Record<Action, string | null>
const NONE = `there is no table [greylist]: --config is not given, and this folder has no ${DEFAULT_FILE}`
const LISTED = 'stats, list, show, allow, forget, export, import or report'

/** Runs the command. Rejects with what is wrong with the command line, the configuration or the store. */
export async function greylistCommand(commandLine: CommandLine, write: Write): Promise<void> {
  const { config: file, words, logs, json } = commandLine
  const [action = 'stats', operand] = words
  if (!isAction(action)) throw new UsageError(`greylist takes ${LISTED}, not ${quote(action)}`)
  const takes = ACTIONS[action]
  if (takes === null && operand !== undefined) throw new UsageError(`greylist ${action} takes nothing more`)
  if (takes !== null && takes !== 'client?' && (operand ?? '') === '') {
    throw new UsageError(`greylist ${action} takes ${takes === 'file' ? 'a file' : 'a client: an address or a key'}`)
  }
  if (action !== 'report' && (logs.length > 0 || json)) throw new UsageError('--log and --json are for greylist report')
  const loaded = loadConfig(file, readConfigText(file))
  const { greylist } = loaded.config
  if (greylist === undefined)
    throw new ConfigError([
      {
        key: 'greylist',
        where: file,
        what: file === null ? NONE : 'there is no such table in this configuration',
      },
    ])
  await loadGreylisting(loaded)
  const { act } = await import('./greylist-actions.ts')
  const store = openStore(greylist)
  try {
    await act(action, operand ?? '', { store, config: greylist, write, logs, json })
  } finally {
    await store.close()
  }
}

function isAction(word: string): word is Action {
  return Object.hasOwn(ACTIONS, word)
}
