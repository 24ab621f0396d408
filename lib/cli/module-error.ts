// Where in a module an error is: Node tells it in the stack, but for a syntax error only where it ends a process.

import { execFile } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** `file:///srv/policy.js?version=1:3`, alone in a line or in one of the stack, where a column follows. */
const PLACE = /^(?: +at (?:.* \()?)?(file:\/\/[^\s)]*?|\/[^\n:]*)(?:\?[^\s:)]*)?:(\d+)(?::\d+\)?)?$/gm
const PATIENCE = 5000

/** Resolves with `line 3` of the module that was to be loaded, or else `/srv/other.js:3`; null if that cannot be found. */
export async function placeOf(error: Error, file: string): Promise<string | null> {
  const place = findPlace(error.stack ?? '', file)
  return place ?? (error instanceof SyntaxError ? findPlace(await loadElsewhere(file), file) : null)
}

/**
 * Loads a module in another process; of a module with a syntax error in it, or in one that it imports at its top, nothing
 * runs. Resolves with what Node says of it.
 */
function loadElsewhere(file: string): Promise<string> {
  const program = `import(${JSON.stringify(pathToFileURL(file).href)})`
  return new Promise(resolve => {
    execFile(process.execPath, ['-e', program], { timeout: PATIENCE }, (_error, _output, told) => resolve(told))
  })
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
