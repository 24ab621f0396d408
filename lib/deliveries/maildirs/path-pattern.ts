// A path with a place for the local part and the domain of a recipient. What a client chose never becomes more than one
// component of a path, and never `.`, `..` or a hidden file.

import { show, wrong } from '../../words/option-checks.ts'

/** A mailbox as it names a folder: both parts in lower case, the local part without quotes, the domain in ASCII. */
export interface MailboxName {
  readonly local: string
  readonly domain: string
}

/** Octets of a part; file systems allow 255 for a component. */
const MOST = 200
/** Not empty, no slash, no backslash, no control or invisible character, no dot or blank at its beginning. */
const SAFE = /^[^\p{C}\s/\\.][^\p{C}/\\]*$/u

/** Makes the function that returns the folder of a mailbox; null if a part cannot be a name. Throws `ERR_OPTION`. */
export function pathPattern(pattern: unknown): (mailbox: MailboxName) => string | null {
  if (typeof pattern !== 'string' || pattern === '' || pattern.includes('\0')) {
    throw wrong(`maildirs takes a path such as '/var/mail/{domain}/{local}', not ${show(pattern)}`)
  }
  for (const [place] of pattern.matchAll(/\{[^{}/]*\}/g)) {
    if (place !== '{local}' && place !== '{domain}') throw wrong(`${place} is not {local} or {domain}`)
  }
  if (!pattern.includes('{local}')) throw wrong(`the path ${show(pattern)} has no {local}: give that to maildir()`)
  return ({ local, domain }) => {
    if (!isSafe(local) || (pattern.includes('{domain}') && !isSafe(domain))) return null
    return pattern.replaceAll(/\{(local|domain)\}/g, (_, part) => (part === 'local' ? local : domain))
  }
}

/** Returns the part of a pattern before the first component that depends on the recipient. */
export function fixedPart(pattern: string): string {
  const before = pattern.slice(0, pattern.search(/\{(?:local|domain)\}/))
  return before.slice(0, before.lastIndexOf('/')) || (before.startsWith('/') ? '/' : '.')
}

function isSafe(part: string): boolean {
  return Buffer.byteLength(part) <= MOST && SAFE.test(part)
}
