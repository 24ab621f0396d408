// Gives the rights of root up, for good.

import { execFileSync } from 'node:child_process'

/** Who the process is to be. */
export interface Account {
  readonly user: string
  /** Default: the user's own. */
  readonly group?: string | undefined
}

/**
 * Becomes the user, with the groups that belong to him. Without the rights for it, it is an error unless the process is
 * that user already.
 */
export function dropPrivileges({ user, group }: Account): void {
  const uid = look('-u', user)
  const gid = group ?? look('-g', user)
  if (process.getuid?.() !== 0) {
    if (process.getuid?.() === uid) return
    throw new Error(`only root can become ${user}; start it as root, or leave user away`)
  }
  ;(process as { initgroups?(user: string, group: number | string): void }).initgroups?.(user, gid)
  process.setgid?.(gid)
  process.setuid?.(uid)
  if (uid !== 0 && canReturn()) throw new Error(`the rights of root could not be given up for ${user}`)
}

function look(what: '-u' | '-g', user: string): number {
  try {
    return Number(execFileSync('id', [what, '--', user], { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' }))
  } catch (error) {
    throw new Error(`there is no user ${user}`, { cause: error })
  }
}

function canReturn(): boolean {
  try {
    process.setuid?.(0)
    return true
  } catch {
    return false
  }
}
