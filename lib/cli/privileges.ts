// Gives up the rights of root, for good.

import { execFileSync } from 'node:child_process'

/** An account of the system. */
export interface Account {
  readonly user: string
  /** @defaultValue the user's own */
  readonly group?: string | undefined
}

/** Returns the key that names what the system does not have, and what to say of it; null for an account that it has. */
export function accountProblem({ user, group }: Account): ['user' | 'group', string] | null {
  try {
    look('-u', user)
  } catch (error) {
    return ['user', (error as Error).message]
  }
  if (group === undefined) return null
  try {
    execFileSync('getent', ['group', '--', group], { stdio: 'ignore' })
    return null
  } catch (error) {
    // Only getent ends with 2 for an unknown name. Without getent, it turns out when the process becomes the user.
    return (error as { status?: number | null }).status === 2 ? ['group', `there is no group ${group}`] : null
  }
}

/**
 * Becomes the user, with the user's groups. Throws an Error without the rights for it, unless the process is that user
 * already.
 */
export function dropPrivileges({ user, group }: Account): void {
  const uid = look('-u', user)
  const gid = group ?? look('-g', user)
  if (process.getuid?.() !== 0) {
    if (process.getuid?.() === uid) return
    throw new Error(`only root can become ${user}; start it as root, or leave user away`)
  }
  ;(process as { initgroups?(user: string, group: number | string): void }).initgroups?.(user, gid)
  setGroup(gid)
  process.setuid?.(uid)
  if (uid !== 0 && canReturn()) throw new Error(`the rights of root could not be given up for ${user}`)
}

function setGroup(group: number | string): void {
  try {
    process.setgid?.(group)
  } catch (error) {
    throw new Error(`there is no group ${group}`, { cause: error })
  }
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
