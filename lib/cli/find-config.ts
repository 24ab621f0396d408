// The configuration of a command without --config: mailhandler.toml in the folder that it is started in.

import { lstatSync, statSync, type Stats } from 'node:fs'
import { ConfigError } from './config/problems.ts'

/** The file that is read without `--config`, and that `mailhandler init` writes. */
export const DEFAULT_FILE = 'mailhandler.toml'

/**
 * Returns the file; null if the current folder has none, or this user has no right to search the folder. The modules that
 * a configuration names are run: without `--config` the file is read only if `owner` or root owns the file and its folder,
 * and nobody but them and their groups can write to either. A link is refused. Throws a ConfigError that says which of these does not hold.
 */
export function findConfig(owner: number | null = process.geteuid?.() ?? null): string | null {
  const found = look()
  if (found === null) return null
  const isOwn = ({ uid, mode }: Stats): boolean =>
    owner === null || ((uid === owner || uid === 0) && (mode & 0o002) === 0)
  if (!found.isFile()) throw refusal('it is no file of this folder')
  if (!isOwn(found)) throw refusal('somebody else can write it')
  if (!isOwn(statSync('.'))) throw refusal('somebody else can write in its folder')
  return DEFAULT_FILE
}

function look(): Stats | null {
  try {
    return lstatSync(DEFAULT_FILE)
  } catch {
    return null
  }
}

function refusal(why: string): ConfigError {
  const what = `${why}: give --config ${DEFAULT_FILE} if it is to be read`
  return new ConfigError([{ key: null, where: DEFAULT_FILE, what }])
}
