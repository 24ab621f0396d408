// Which upstream a recipient's mail goes to.

import { canonicalDomain, isDomain } from '../../protocol/addresses/domain.ts'
import { canonicalAddress, parseMailbox, type Mailbox } from '../../protocol/addresses/mailbox.ts'
import { show, wrong } from '../../words/option-checks.ts'

const GRAMMAR = { utf8: true, strictness: 'lenient' } as const
/** The route of what has no other. */
const ALL = '*'

/** A table of routes: by mailbox, then domain, then the domains above, the nearest first, then `*`. */
export class Routes<T> {
  readonly #table = new Map<string, T>()
  readonly #first: T

  /** Throws `ERR_OPTION` for a name that is none. */
  constructor(entries: readonly (readonly [name: string, to: T])[]) {
    const [first] = entries
    if (first === undefined) throw wrong('relay: give a host, or routes')
    this.#first = first[1]
    for (const [name, to] of entries) {
      const key = canonicalName(name)
      if (this.#table.has(key)) throw wrong(`relay.routes: ${show(name)} is there twice`)
      this.#table.set(key, to)
    }
  }

  /** Where mail for the recipient goes; null if no route is for it. Postmaster without a domain has the first one at least. */
  find(recipient: Mailbox): T | null {
    const domain = canonicalDomain(recipient.domain)
    const table = this.#table
    const own = table.get(canonicalAddress(recipient)) ?? table.get(domain)
    if (own !== undefined) return own
    for (let dot = domain.indexOf('.'); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
      const above = table.get(domain.slice(dot))
      if (above !== undefined) return above
    }
    return table.get(ALL) ?? (domain === '' ? this.#first : null)
  }
}

function canonicalName(name: string): string {
  if (name === ALL) return name
  if (name.includes('@')) {
    const parsed = parseMailbox(name, GRAMMAR)
    if (parsed.ok) return canonicalAddress(parsed.mailbox)
  } else {
    const domain = name.startsWith('.') ? name.slice(1) : name
    const isLiteral = name.startsWith('[') && parseMailbox(`x@${name}`, GRAMMAR).ok
    if (isLiteral || isDomain(domain, GRAMMAR)) return `${name.startsWith('.') ? '.' : ''}${canonicalDomain(domain)}`
  }
  throw wrong(`relay.routes: ${show(name)} is no domain, no mailbox, no dot and a domain, and not *`)
}
