// Which optional peers of the package are there: `npm install mailhandler` does not bring them.

import { createRequire } from 'node:module'

/** True if a module can be imported. */
export function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name)
    return true
  } catch {
    return false
  }
}
