// What a line of SMTP may be, from the RFCs' own grammar; nothing of lib/ is used here. Every function says `ok`, `bad`
// or `maybe`: the last where the option `strictness` leaves to the server what it takes.

const ATEXT = "[A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~]"
const U = '[\\u00a0-\\u2027\\u202a-\\ud7ff\\ue000-\\uffff]|[\\ud800-\\udbff][\\udc00-\\udfff]'
const atom = utf8 => `(?:${ATEXT}${utf8 ? `|${U}` : ''})+`
const dotString = utf8 => `${atom(utf8)}(?:\\.${atom(utf8)})*`
const quoted = utf8 => `"(?:[ !#-\\[\\]-~]|\\\\[ -~]${utf8 ? `|${U}` : ''})*"`
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?'
const DOMAIN = `${LABEL}(?:\\.${LABEL})*`
const SNUM = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const IPV4 = `${SNUM}(?:\\.${SNUM}){3}`
const anchored = source => new RegExp(`^(?:${source})$`, 'u')

const HAS_U = anchored(`(?:[\\x00-\\x7f]|${U})*`)
// oxlint-disable-next-line no-control-regex -- all of ASCII is meant
const ASCII = /^[\x00-\x7f]*$/

/** True for an address in the brackets of an address literal. [RFC 5321 §4.1.3] */
export function isLiteral(text) {
  if (anchored(IPV4).test(text)) return true
  const [, address] = /^IPv6:(.*)$/i.exec(text) ?? []
  return address !== undefined && isIPv6(address)
}

/** [RFC 4291 §2.2] */
function isIPv6(text) {
  const halves = text.split('::')
  if (halves.length > 2 || text.length > 45) return false
  let groups = 0
  for (const [i, half] of halves.entries()) {
    if (half === '') continue
    const parts = half.split(':')
    for (const [j, part] of parts.entries()) {
      const isLast = i === halves.length - 1 && j === parts.length - 1
      if (/^[0-9a-f]{1,4}$/i.test(part)) groups += 1
      else if (isLast && anchored(IPV4).test(part)) groups += 2
      else return false
    }
  }
  return halves.length === 2 ? groups < 8 : groups === 8
}

function domainIs(text, utf8) {
  if (text.startsWith('[')) return text.endsWith(']') && isLiteral(text.slice(1, -1)) ? 'ok' : 'bad'
  const isAscii = ASCII.test(text)
  if (!isAscii) return utf8 && HAS_U.test(text) ? 'maybe' : 'bad' // which U-labels are valid is IDNA's business
  if (!anchored(DOMAIN).test(text)) return 'bad'
  if (text.length > 255 || text.split('.').some(label => label.length > 63)) return 'bad'
  return 'ok'
}

const LOCAL = { strict: 64, interoperable: 255, lenient: 255 }
const PATH = { strict: 256, interoperable: 512, lenient: Infinity }

/** `mailbox` without brackets: its verdict. */
function mailboxIs(mailbox, utf8, strictness) {
  const local = new RegExp(`^(?:${dotString(utf8)}|${quoted(utf8)})(?=@)`, 'u').exec(mailbox)?.[0]
  if (local === undefined) return 'bad'
  if (Buffer.byteLength(local) > LOCAL[strictness]) return 'bad'
  return domainIs(mailbox.slice(local.length + 1), utf8)
}

/**
 * The argument of MAIL or RCPT. `address` is the mailbox, `parameters` the text behind the path. `verdict` is `utf8` for
 * what would be valid with SMTPUTF8 only.
 */
export function readPath(argument, { reverse, utf8, strictness }) {
  const found = new RegExp(`^${reverse ? 'FROM' : 'TO'}:(${strictness === 'strict' ? '' : '[ \\t]*'})`, 'i').exec(
    argument,
  )
  const lax = verdict => ({ verdict: strictness === 'lenient' ? 'maybe' : verdict, address: null, parameters: null })
  if (found === null) return { verdict: 'bad' }
  const rest = argument.slice(found[0].length)
  // The path ends at a > outside quotes.
  const path = /^<(?:"(?:[^"\\]|\\[^])*"|[^">])*>/.exec(rest)?.[0]
  if (path === undefined) return lax('bad')
  const behind = rest.slice(path.length)
  if (behind !== '' && !behind.startsWith(' ')) return { verdict: 'bad' }
  const parameters = behind.slice(1)
  const inside = path.slice(1, -1)
  if (inside === '') return { verdict: reverse ? 'ok' : 'bad', address: '', parameters }
  if (!reverse && /^postmaster$/i.test(inside)) return { verdict: 'ok', address: inside, parameters }
  const route = new RegExp(`^@${DOMAIN}(?:,@${DOMAIN})*:`, 'u').exec(inside)?.[0] ?? ''
  const address = inside.slice(route.length)
  const isAscii = ASCII.test(inside)
  if (!isAscii && route === '' && inside.startsWith('@')) return { verdict: 'maybe', address: null, parameters }
  const verdict = mailboxIs(address, utf8, strictness)
  if (Buffer.byteLength(path) > PATH[strictness]) return { verdict: isAscii ? 'bad' : 'maybe', address, parameters }
  if (verdict === 'bad' && !isAscii && !utf8) return { verdict: 'utf8', address, parameters }
  if (verdict === 'bad') return { ...lax('bad'), parameters }
  return { verdict, address, parameters, isAscii: ASCII.test(address) }
}

/** The parameters as a Map; null if they do not follow the grammar. [RFC 5321 §4.1.2 esmtp-param] */
export function readParameters(text) {
  const parameters = new Map()
  for (const each of text.replace(/[ \t]+$/, '').split(' ')) {
    if (each === '') continue
    const [, keyword, value] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?$/.exec(each) ?? []
    if (keyword === undefined || parameters.has(keyword.toUpperCase())) return null
    parameters.set(keyword.toUpperCase(), value ?? null)
  }
  return parameters
}

/** The decoded octets of base64 as RFC 4954 §4 wants it: the alphabet, padding, and nothing else. Null if it is not. */
export function readBase64(text) {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return null
  const octets = Buffer.from(text, 'base64')
  return octets.toString('base64') === text ? octets : null
}

/** Decodes xtext; null if it is not. [RFC 3461 §4] */
export function readXtext(text) {
  if (!/^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(text)) return null
  return text.replaceAll(/\+([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
}

/** True if a name may be that of HELO: printable, without spaces. [RFC 5321 §4.1.4] */
export function isHeloName(text) {
  // oxlint-disable-next-line no-control-regex -- controls are what it looks for
  return text !== '' && Buffer.byteLength(text) <= 255 && HAS_U.test(text) && !/[\x00-\x20\x7f-\x9f]/.test(text)
}
