// The configuration of a command without --config: mailhandler.toml in the folder that it is started in.

import { statSync } from 'node:fs'
import { ConfigError } from './config/problems.ts'

/** The file that is read without `--config`, and that `mailhandler init` writes. */
export const DEFAULT_FILE = 'mailhandler.toml'

/**
 * Returns the file, or null if there is none here. A configuration names modules, which are run: one that somebody else can
 * write is not read unasked, and a ConfigError says so.
 */
export function findConfig(owner: number | null = process.geteuid?.() ?? null): string | null {
  const found = statSync(DEFAULT_FILE, { throwIfNoEntry: false })
  if (found === undefined) return null
  const isOwn = owner === null || ((found.uid === owner || found.uid === 0) && (found.mode & 0o002) === 0)
  if (isOwn) return DEFAULT_FILE
  const what = `somebody else can write it: give --config ${DEFAULT_FILE} if it is to be read`
  throw new ConfigError([{ key: null, where: DEFAULT_FILE, what }])
}
