// What people should know of a configuration with which a server starts all the same. `check` prints it.

import { hostname } from 'node:os'
import type { Loaded } from './config/load.ts'
import type { Problem } from './config/problems.ts'
import type { Destination } from './destination.ts'

/** Finds the notes on a configuration. Never rejects. */
export async function notesOn(loaded: Loaded, destination: Destination): Promise<Problem[]> {
  const { config, given, problem } = loaded
  const found: Problem[] = []
  if (given.has('suspicion') && config.greylist === undefined) {
    found.push(problem(['suspicion'], 'it has no effect without [greylist]'))
  }
  const missing = await postmastersMissing(loaded, destination)
  if (missing.length > 0) {
    const what = `there is no mailbox for ${missing.join(', ')}: every server has to take mail for it [RFC 5321 §4.5.1]`
    found.push(problem(destination.key, what))
  }
  return found
}

/** The postmasters without a mailbox: of each domain, and the one without a domain, who is that of this server. */
async function postmastersMissing({ config }: Loaded, { hasMailbox }: Destination): Promise<string[]> {
  if (hasMailbox === undefined) return []
  const { name = hostname(), recipients } = config
  // An entry may be a mailbox, `*`, `.example.org` or an address literal.
  const listed = (recipients.domains ?? []).map(entry => entry.slice(entry.lastIndexOf('@') + 1))
  const domains = listed.filter(domain => /^[^*.[]/.test(domain))
  const missing: string[] = []
  for (const domain of new Set([...domains, name])) {
    // A folder that cannot be read is a problem of its own.
    if (await hasMailbox({ localPart: 'postmaster', domain }).catch(() => true)) continue
    missing.push(domains.includes(domain) ? `postmaster@${domain}` : `postmaster without a domain (that is @${domain})`)
  }
  return missing
}
