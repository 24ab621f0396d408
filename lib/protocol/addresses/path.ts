// The arguments of MAIL and RCPT up to the parameters: FROM:<reverse-path> and TO:<forward-path>.

import { wrong } from '../../words/option-checks.ts'
import { type GrammarOptions, octets, type PathError, stray, type Strictness } from './characters.ts'
import { scanDomain } from './domain.ts'
import { type Mailbox, NULL_MAILBOX, scanMailbox } from './mailbox.ts'

/** Octets of a path with its angle brackets, at the most. [RFC 5321 §4.5.3.1.3]; 512 has room for a local part of 255. */
const PATH_OCTETS: Readonly<Record<Strictness, number>> = { strict: 256, interoperable: 512, lenient: Infinity }

const LESS = 60
const GREATER = 62
const AT = 64
const COMMA = 44
const COLON = 58
const SPACE = 32
const TAB = 9

/** A path and the parameters behind it, or what is wrong with the argument. */
export type ParsedPath =
  | {
      readonly ok: true
      readonly mailbox: Mailbox
      /** The parameters as text, for `parseParameters`; `''` if there are none. */
      readonly parameters: string
      /** Offset of the parameters in the argument. */
      readonly parametersAt: number
    }
  | { readonly ok: false; readonly error: PathError }

interface Kind {
  readonly prefix: string
  readonly keyword: RegExp
  readonly usual: RegExp
  readonly colon: number
  readonly missing: string
  readonly nullPath: boolean
  /** The mailbox without domain that is allowed, and the one that `lenient` allows. */
  readonly bare: RegExp | null
  readonly lenientBare: RegExp | null
}

/** Octets of a usual local part and of a usual domain, at the most: so no label is too long either. */
const USUAL_OCTETS = 63
/** A dot-string and a domain whose labels have single hyphens and whose last one is of letters; then the end, or a space. */
const USUAL = String.raw`<([\w+=-]+(?:\.[\w+=-]+)*)@((?:[a-z\d]+(?:-[a-z\d]+)*\.)+[a-z]+)>(?= |$)`

const REVERSE: Kind = {
  prefix: 'FROM:',
  keyword: /^FROM:/i,
  usual: new RegExp(`^FROM:${USUAL}`, 'i'),
  colon: 5,
  missing: 'FROM: is missing',
  nullPath: true,
  bare: null,
  lenientBare: null,
}
const FORWARD: Kind = {
  prefix: 'TO:',
  keyword: /^TO:/i,
  usual: new RegExp(`^TO:${USUAL}`, 'i'),
  colon: 3,
  missing: 'TO: is missing',
  nullPath: false,
  bare: /postmaster(?=[> ]|$)/iy, // [RFC 5321 §4.1.1.3]
  lenientBare: /(?:postmaster|abuse|root)(?=[> ]|$)/iy, // [RFC 2142 §2]; root is whom devices report to
}

/**
 * Parses the argument of MAIL, `FROM:<a@b.c> SIZE=1`. `<>` gives {@link NULL_MAILBOX}; a source route is dropped
 * [RFC 5321 §4.1.1.3, appendix C]. `interoperable` allows white space behind the colon, and longer paths (512 octets)
 * and local parts (255). `lenient` allows paths of any length too, a mailbox without angle brackets, dots anywhere in the
 * local part, and underscores in domains. Never throws.
 */
export function parseReversePath(argument: string, options: GrammarOptions): ParsedPath {
  return parsePath(argument, REVERSE, options)
}

/**
 * Parses the argument of RCPT, `TO:<a@b.c>`, like {@link parseReversePath}. `<>` is refused; `<Postmaster>` in any case
 * is a mailbox with an empty domain, in `lenient` `<abuse>` and `<root>` too. [RFC 5321 §4.1.1.3]
 */
export function parseForwardPath(argument: string, options: GrammarOptions): ParsedPath {
  return parsePath(argument, FORWARD, options)
}

/**
 * Formats the argument of MAIL without parameters: `'FROM:<a@b.c>'`, `'FROM:<>'` for `''`. {@link parseReversePath} with
 * the same options reads the same address from it.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if the address does not follow the grammar, or holds a control character.
 */
export function formatReversePath(address: string, options: GrammarOptions): string {
  return formatPath(address, REVERSE, options)
}

/**
 * Formats the argument of RCPT without parameters, `'TO:<a@b.c>'`, like {@link formatReversePath}. `''` is refused;
 * `'Postmaster'` needs no domain.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if the address does not follow the grammar, or holds a control character.
 */
export function formatForwardPath(address: string, options: GrammarOptions): string {
  return formatPath(address, FORWARD, options)
}

function formatPath(address: string, kind: Kind, options: GrammarOptions): string {
  const argument = `${kind.prefix}<${address}>`
  const parsed = parsePath(argument, kind, options)
  if (!parsed.ok) throw wrong(`address: ${parsed.error.problem}`)
  // A source route, or an address that closes the path and goes on behind it, is read as another address.
  if (parsed.mailbox.address !== address) throw wrong('address: only a mailbox is possible here')
  return argument
}

/**
 * The paths of most mail in one match, which says the same as the grammar below: a short local part and a short domain
 * of plain characters. Null for any other path.
 */
function parseUsual(argument: string, kind: Kind): ParsedPath | null {
  const [path, localPart, domain] = kind.usual.exec(argument) ?? []
  if (path === undefined || localPart === undefined || domain === undefined) return null
  if (localPart.length > USUAL_OCTETS || domain.length > USUAL_OCTETS) return null
  const mailbox = { address: `${localPart}@${domain}`, localPart, domain, literal: null, nonAscii: false }
  const end = path.length
  return end === argument.length
    ? { ok: true, mailbox, parameters: '', parametersAt: end }
    : { ok: true, mailbox, parameters: argument.slice(end + 1), parametersAt: end + 1 }
}

function parsePath(argument: string, kind: Kind, options: GrammarOptions): ParsedPath {
  const usual = parseUsual(argument, kind)
  if (usual !== null) return usual
  if (!kind.keyword.test(argument)) return fail({ part: 'keyword', at: 0, problem: kind.missing })
  const isLenient = options.strictness === 'lenient'
  let open = kind.colon
  while (options.strictness !== 'strict' && isBlank(argument.charCodeAt(open))) open++

  const bracketed = argument.charCodeAt(open) === LESS
  if (!bracketed && !isLenient) return fail(noBracket(argument, open))
  let at = bracketed ? open + 1 : open
  if (bracketed && argument.charCodeAt(at) === GREATER) {
    if (kind.nullPath) return finish(argument, at + 1, NULL_MAILBOX)
    return fail({ part: 'path', at, problem: 'the path must not be empty' })
  }
  if (bracketed && argument.charCodeAt(at) === AT) {
    const behind = scanRoute(argument, at, options)
    if (typeof behind !== 'number') return fail(behind)
    at = behind
  }
  const mailbox = scanBare(argument, at, isLenient ? kind.lenientBare : kind.bare) ?? scanMailbox(argument, at, options)
  if (!mailbox.ok) return mailbox

  const end = at + mailbox.mailbox.address.length
  if (!bracketed) return finish(argument, end, mailbox.mailbox)
  if (argument.charCodeAt(end) !== GREATER) return fail(unclosed(argument, end, mailbox.mailbox))
  const length = end + 1 - open
  const limit = PATH_OCTETS[options.strictness]
  if (length > limit || (options.utf8 && octets(argument, open, end + 1) > limit)) {
    return fail({ part: 'path', at: open, problem: `a path must not exceed ${limit} octets` })
  }
  return finish(argument, end + 1, mailbox.mailbox)
}

/** Scans `@a,@b:` and returns the offset behind it. [RFC 5321 §4.1.2 A-d-l] */
function scanRoute(text: string, at: number, options: GrammarOptions): number | PathError {
  for (let i = at; ; i++) {
    if (text.charCodeAt(i) !== AT) return stray(text, i, 'route')
    const end = scanDomain(text, i + 1, options)
    if (typeof end !== 'number') return { ...end, part: 'route' }
    i = end
    if (text.charCodeAt(i) === COLON) return i + 1
    if (text.charCodeAt(i) !== COMMA) return stray(text, i, 'route')
  }
}

function scanBare(text: string, at: number, pattern: RegExp | null): { ok: true; mailbox: Mailbox } | null {
  if (pattern === null) return null
  pattern.lastIndex = at
  const address = pattern.exec(text)?.[0]
  if (address === undefined) return null
  return { ok: true, mailbox: { ...NULL_MAILBOX, address, localPart: address } }
}

function finish(argument: string, end: number, mailbox: Mailbox): ParsedPath {
  if (end === argument.length) return { ok: true, mailbox, parameters: '', parametersAt: end }
  if (argument.charCodeAt(end) === SPACE) {
    return { ok: true, mailbox, parameters: argument.slice(end + 1), parametersAt: end + 1 }
  }
  const { address, literal } = mailbox
  if (argument.charCodeAt(end - 1) === GREATER) return fail(stray(argument, end, 'parameters'))
  return fail(stray(argument, end, literal !== null || address === '' ? 'path' : 'domain'))
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}

function noBracket(argument: string, at: number): PathError {
  if (isBlank(argument.charCodeAt(at))) return { part: 'path', at, problem: 'no space may follow the colon' }
  return { part: 'path', at, problem: 'the path must be in angle brackets' }
}

function unclosed(argument: string, at: number, { literal }: Mailbox): PathError {
  if (at >= argument.length) return { part: 'path', at, problem: 'the closing angle bracket is missing' }
  return stray(argument, at, literal === null ? 'domain' : 'path')
}

function fail(error: PathError): ParsedPath {
  return { ok: false, error }
}
