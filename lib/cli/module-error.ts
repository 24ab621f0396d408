// Where in a module an error is: Node tells it in the stack, but for a syntax error only where it ends a process.

import { spawnSync } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** `file:///srv/policy.js?version=1:3`, alone in a line or in one of the stack, where a column follows. */
const PLACE = /^(?: +at (?:.* \()?)?(file:\/\/[^\s)]*?|\/[^\n:]*)(?:\?[^\s:)]*)?:(\d+)(?::\d+\)?)?$/gm
const PATIENCE = 5000

/** Returns `line 3` of the module that was to be loaded, or else `/srv/other.js:3`; null if that cannot be found. */
export function placeOf(error: Error, file: string): string | null {
  return (
    findPlace(error.stack ?? '', file) ?? (error instanceof SyntaxError ? findPlace(loadElsewhere(file), file) : null)
  )
}

/** Loads a module in another process; nothing of it runs, as it has a syntax error. Returns what Node says of it. */
function loadElsewhere(file: string): string {
  const program = `import(${JSON.stringify(pathToFileURL(file).href)})`
  return spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: PATIENCE }).stderr
}

/** Finds the first place in this file, or else the first that is in no package. */
function findPlace(text: string, file: string): string | null {
  const places = [...text.matchAll(PLACE)].map(([, place = '', line]) => {
    return `${place.startsWith('file:') ? fileURLToPath(place) : place}:${line}`
  })
  const own = places.find(place => place.startsWith(`${file}:`))
  if (own !== undefined) return `line ${own.slice(file.length + 1)}`
  return places.find(place => !place.includes('/node_modules/')) ?? null
}
