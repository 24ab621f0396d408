// Mailboxes and aliases, from a list or a file with a line for each.
//
//   anna@example.org                              a mailbox
//   info@example.org: anna@example.org, bob@…     an alias
//   postmaster@: anna@example.org                 in any domain
//   @example.org: anna@example.org                everybody else in a domain

import { canonicalDomain } from '../../protocol/addresses/domain.ts'
import { unquoteLocalPart } from '../../protocol/addresses/local-part.ts'
import { parseMailbox } from '../../protocol/addresses/mailbox.ts'
import { EntryError } from '../../policies/lists/list-source.ts'
import { show, wrong } from '../../words/option-checks.ts'
import type { MailboxName } from './path-pattern.ts'

/** Aliases of aliases. */
const DEEPEST = 10
const GRAMMAR = { utf8: true, strictness: 'lenient' } as const
const FORMS = 'a mailbox, or an alias such as info@example.org: anna@example.org'

/** Mailboxes and aliases. */
export interface RecipientList {
  /** Returns the mailboxes of the first of these names that is listed, each once; none if no name is. */
  find(names: readonly MailboxName[]): readonly MailboxName[]
}

/** Returns the name of a mailbox. Case does not count. */
export function nameOf({ localPart, domain }: { localPart: string; domain: string }): MailboxName {
  return { local: unquoteLocalPart(localPart).toLowerCase().normalize('NFC'), domain: canonicalDomain(domain) }
}

/** Reads a list. Throws `ERR_OPTION` for an entry that is wrong, for an alias of nobody, and for one of itself. */
export function recipientList(entries: Iterable<string>): RecipientList {
  const mailboxes = new Map<string, MailboxName>()
  const aliases = new Map<string, readonly MailboxName[]>()
  const keys: (string | null)[] = []
  for (const entry of entries) {
    const [, alias, targets = ''] = /^(.*?):\s+(.*)$/.exec(entry) ?? []
    const key = keyOf(alias === undefined ? readMailbox(entry, entry) : readAlias(alias, entry))
    if (mailboxes.has(key) || aliases.has(key)) throw new EntryError(keys.length, `${show(entry)} is listed twice`)
    if (alias === undefined) mailboxes.set(key, readMailbox(entry, entry))
    else
      aliases.set(
        key,
        targets.split(',').map(target => readMailbox(target.trim(), entry)),
      )
    keys.push(alias === undefined ? null : key)
  }

  function collect(names: readonly MailboxName[], found: Map<string, MailboxName>, depth: number): void {
    const inAnyDomain = names.map(({ local }) => ({ local, domain: '' }))
    const forms = [...names, ...inAnyDomain, { local: '', domain: names[0]!.domain }].map(keyOf)
    const form = forms.find(each => mailboxes.has(each) || aliases.has(each))
    if (form === undefined) throw wrong(`${forms[0]} is not listed`)
    if (depth === DEEPEST) throw wrong('it is an alias of itself, or of aliases of aliases …')
    const mailbox = mailboxes.get(form)
    if (mailbox !== undefined) found.set(form, mailbox)
    for (const target of aliases.get(form) ?? []) collect([target], found, depth + 1)
  }

  for (const [i, key] of keys.entries()) {
    for (const target of key === null ? [] : aliases.get(key)!) {
      try {
        collect([target], new Map(), 1)
      } catch (error) {
        throw new EntryError(i, `${key}: ${(error as Error).message}`)
      }
    }
  }
  return {
    find(names) {
      const found = new Map<string, MailboxName>()
      try {
        collect(names, found, 0)
      } catch {} // of an alias all targets are listed, so it is the recipient that is not
      return [...found.values()]
    },
  }
}

/** `anna@example.org`; `anna@` in any domain, `@example.org` for everybody else in it. */
function keyOf({ local, domain }: MailboxName): string {
  return `${local}@${domain}`
}

function readAlias(text: string, entry: string): MailboxName {
  if (text.startsWith('@')) return { ...readMailbox(`x${text}`, entry), local: '' }
  if (text.endsWith('@')) return { ...readMailbox(`${text}x.example`, entry), domain: '' }
  return readMailbox(text, entry)
}

function readMailbox(text: string, entry: string): MailboxName {
  const parsed = parseMailbox(text, GRAMMAR)
  if (!parsed.ok) throw wrong(`${show(entry)} is not ${FORMS}`)
  return nameOf(parsed.mailbox)
}
