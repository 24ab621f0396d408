// Lists of senders or recipients, by domain or mailbox.

import { canonicalDomain, isDomain } from '../../protocol/addresses/domain.ts'
import { unquoteLocalPart } from '../../protocol/addresses/local-part.ts'
import { parseMailbox, type Mailbox } from '../../protocol/addresses/mailbox.ts'
import { checkList, show, wrong } from '../../words/option-checks.ts'

const GRAMMAR = { utf8: true, strictness: 'lenient' } as const
const FORMS = 'a domain, a dot and a domain, a mailbox, a name and @, or <>'

/** A set of mailboxes. */
export interface AddressList {
  has(mailbox: Pick<Mailbox, 'localPart' | 'domain'>): boolean
}

/**
 * A list of `example.org`, `.example.org` for all below it, `anna@example.org`, `abuse@` in any domain, and `<>`. Case does
 * not count, U-labels are their A-labels. Throws `ERR_OPTION`, naming the entry and the list.
 */
export function addressList(name: string, entries: Iterable<string>): AddressList {
  checkList(name, entries)
  const domains = new Set<string>()
  const parents = new Set<string>()
  const mailboxes = new Set<string>()
  for (const entry of entries) {
    if (typeof entry !== 'string') throw wrong(`${name}: ${show(entry)} is not ${FORMS}`)
    if (entry === '<>') mailboxes.add('@')
    else if (entry.endsWith('@')) mailboxes.add(keyOf(parse(name, entry, `${entry}x.example`), ''))
    else if (entry.includes('@')) mailboxes.add(keyOf(parse(name, entry, entry)))
    else if (entry.startsWith('.')) parents.add(readDomain(name, entry, entry.slice(1)))
    else domains.add(readDomain(name, entry, entry))
  }
  return {
    has(mailbox) {
      if (mailboxes.size > 0 && (mailboxes.has(keyOf(mailbox)) || mailboxes.has(keyOf(mailbox, '')))) return true
      if (mailbox.domain === '') return false
      const domain = canonicalDomain(mailbox.domain)
      return domains.has(domain) || isBelow(domain, parents)
    },
  }
}

/** True if a parent of the domain is in the set. */
export function isBelow(domain: string, parents: ReadonlySet<string>): boolean {
  if (parents.size === 0) return false
  for (let dot = domain.indexOf('.'); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
    if (parents.has(domain.slice(dot + 1))) return true
  }
  return false
}

/** `anna@example.org`; `anna@` without a domain, `@` for `<>`. */
function keyOf({ localPart, domain }: Pick<Mailbox, 'localPart' | 'domain'>, of: string = domain): string {
  return `${unquoteLocalPart(localPart).toLowerCase()}@${of === '' ? '' : canonicalDomain(of)}`
}

function parse(name: string, entry: string, text: string): Mailbox {
  const parsed = parseMailbox(text, GRAMMAR)
  if (parsed.ok) return parsed.mailbox
  throw wrong(`${name}: ${show(entry)} is not ${FORMS}`)
}

function readDomain(name: string, entry: string, domain: string): string {
  const isLiteral = entry.startsWith('[') && parseMailbox(`x@${domain}`, GRAMMAR).ok
  if (isLiteral || isDomain(domain, GRAMMAR)) return canonicalDomain(domain)
  throw wrong(`${name}: ${show(entry)} is not ${FORMS}`)
}
