// local-part@domain, as in the paths of MAIL and RCPT.

import { type AddressLiteral, parseAddressLiteral } from './address-literal.ts'
import { type GrammarOptions, isAscii, type PathError, stray } from './characters.ts'
import { canonicalDomain, NO_LITERAL, scanDomain } from './domain.ts'
import { quoteLocalPart, scanLocalPart, unquoteLocalPart } from './local-part.ts'

const AT = 64
const GREATER = 62
const BRACKET = 91

/** The mailbox of a path, as the client wrote it: only the host in the domain may change it. */
export interface Mailbox {
  /** The whole address, without a source route; `''` for the null reverse-path. */
  readonly address: string
  /** The part before the `@`, with its case and quotes; `unquoteLocalPart` removes the quotes. */
  readonly localPart: string
  /** The part after the `@`, with its case; `''` for the null path and for Postmaster. See `canonicalDomain`. */
  readonly domain: string
  /** The IP address if the domain is an address literal. */
  readonly literal: AddressLiteral | null
  /** True if the address can only be sent on with SMTPUTF8. [RFC 6531 §3.2] */
  readonly nonAscii: boolean
}

/** A mailbox, or what is wrong with the text. */
export type ParsedMailbox =
  | { readonly ok: true; readonly mailbox: Mailbox }
  | { readonly ok: false; readonly error: PathError }

/** The mailbox of the null reverse-path, `<>`. [RFC 5321 §4.5.5] */
export const NULL_MAILBOX: Mailbox = Object.freeze({
  address: '',
  localPart: '',
  domain: '',
  literal: null,
  nonAscii: false,
})

/** Parses all of the text as one mailbox without angle brackets: for AUTH= and for lists of addresses. */
export function parseMailbox(text: string, options: GrammarOptions): ParsedMailbox {
  const parsed = scanMailbox(text, 0, options)
  if (!parsed.ok || parsed.mailbox.address.length === text.length) return parsed
  return { ok: false, error: stray(text, parsed.mailbox.address.length, 'domain') }
}

/** Scans a mailbox from `at` on; the offset behind it is `at + mailbox.address.length`. [RFC 5321 §4.1.2] */
export function scanMailbox(text: string, at: number, options: GrammarOptions): ParsedMailbox {
  const local = scanLocalPart(text, at, options)
  if (typeof local !== 'number') return { ok: false, error: local }
  if (text.charCodeAt(local) !== AT) return { ok: false, error: noAt(text, local) }

  const start = local + 1
  let literal: AddressLiteral | null = null
  let end: number | PathError
  if (text.charCodeAt(start) === BRACKET) {
    end = text.indexOf(']', start) + 1
    literal = end === 0 ? null : parseAddressLiteral(text.slice(start + 1, end - 1))
    if (literal === null) return { ok: false, error: { part: 'literal', at: start, problem: NO_LITERAL } }
  } else {
    end = scanDomain(text, start, options)
    if (typeof end !== 'number') return { ok: false, error: end }
  }
  const address = text.slice(at, end)
  const mailbox: Mailbox = {
    address,
    localPart: text.slice(at, local),
    domain: text.slice(start, end),
    literal,
    nonAscii: options.utf8 && !isAscii(address),
  }
  return { ok: true, mailbox }
}

/**
 * The address in the form for comparison, the same for two spellings of one mailbox: quotes only if they are needed, the
 * domain by `canonicalDomain`, the local part with its case. Postmaster without a domain is in lower case.
 */
export function canonicalAddress({ localPart, domain }: Mailbox): string {
  const local = localPart === '' ? '' : quoteLocalPart(unquoteLocalPart(localPart))
  return domain === '' ? local.toLowerCase() : `${local}@${canonicalDomain(domain)}`
}

function noAt(text: string, at: number): PathError {
  const code = text.charCodeAt(at)
  if (code === GREATER || Number.isNaN(code)) return { part: 'domain', at, problem: 'the domain is missing' }
  return stray(text, at, 'local-part')
}
