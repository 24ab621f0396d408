// Whose mail is accepted: the domains, and mailboxes, that this server is for.

import { isDomain, canonicalDomain } from '../protocol/addresses/domain.ts'
import { canonicalAddress, parseMailbox, type Mailbox } from '../protocol/addresses/mailbox.ts'
import { MailHandlerError } from '../words/errors.ts'
import { checkList, show } from '../words/option-checks.ts'
import { reply, type Reply } from '../words/reply.ts'

const NOT_OURS = reply(550, '5.7.1', 'Relay not permitted')
const GRAMMAR = { utf8: true, strictness: 'lenient' } as const

/** What {@link allowRecipients} gives: a policy with one hook. */
export interface AllowRecipients {
  /** What logs and metrics call it. */
  readonly name: string
  /** Refuses a mailbox that is in none of the domains, with 550 5.7.1. */
  onRcptTo(recipient: Mailbox): Reply | void
}

/**
 * Accepts mail for these domains only: `policies: [allowRecipients(['example.org'])]`. An entry is a domain, an address
 * literal in brackets, `.example.org` for all below a domain, or `anna@example.org` for one mailbox. Domains are compared
 * as DNS does, U-labels as their A-labels; the local part of a mailbox exactly. Postmaster is always accepted, without a
 * domain and in each that is listed [RFC 5321 §4.5.1]; abuse and root without a domain too, if the session is `lenient`. Throws `ERR_OPTION` for an entry that is neither.
 */
export function allowRecipients(entries: Iterable<string>): AllowRecipients {
  checkList('allowRecipients(…)', entries)
  const domains = new Set<string>()
  const parents = new Set<string>()
  const mailboxes = new Set<string>()
  const served = new Set<string>()
  for (const entry of entries) {
    if (typeof entry !== 'string') throw wrong(entry)
    const at = entry.lastIndexOf('@')
    if (at >= 0) {
      const mailbox = readMailbox(entry)
      mailboxes.add(canonicalAddress(mailbox))
      served.add(canonicalDomain(mailbox.domain))
    } else if (entry.startsWith('.')) parents.add(readDomain(entry, entry.slice(1)))
    else domains.add(readDomain(entry, entry))
  }

  const isBelow = (domain: string): boolean => {
    for (let dot = domain.indexOf('.'); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
      if (parents.has(domain.slice(dot + 1))) return true
    }
    return false
  }

  return {
    name: 'allowRecipients',
    onRcptTo(recipient) {
      const domain = canonicalDomain(recipient.domain)
      if (domain === '' || domains.has(domain) || isBelow(domain)) return // without a domain it is Postmaster, abuse or root
      if (served.has(domain)) {
        if (recipient.localPart.toLowerCase() === 'postmaster') return
        if (mailboxes.has(canonicalAddress(recipient))) return
      }
      return NOT_OURS
    },
  }
}

function readMailbox(entry: string): Mailbox {
  const parsed = parseMailbox(entry, GRAMMAR)
  if (parsed.ok) return parsed.mailbox
  throw wrong(entry)
}

function readDomain(entry: string, domain: string): string {
  const literal = entry.startsWith('[') && parseMailbox(`x@${domain}`, GRAMMAR).ok
  if (literal || isDomain(domain, GRAMMAR)) return canonicalDomain(domain)
  throw wrong(entry)
}

function wrong(entry: unknown): MailHandlerError {
  const forms = 'a domain, an address literal, a dot and a domain, or a mailbox'
  return new MailHandlerError('ERR_OPTION', `recipient ${show(entry)}: not ${forms}`)
}
