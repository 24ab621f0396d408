// The argument of MAIL, and the parameters of MAIL and RCPT. [RFC 5321 §4.1.1.2, RFC 1870, 3030, 3461, 6152, 6531]

import { readParameters, readPath, readXtext } from './grammar.js'

/** Adds the codes of what is wrong with the argument of MAIL to `refusals`; `isMaybe`: the server may refuse more. */
export function mailRefusals(model, argument, refusals) {
  const { options, extended } = model
  const offers = name => options.extensions[name] && (extended || options.strictness === 'lenient')
  const utf8 = offers('SMTPUTF8')
  const path = readPath(argument, { reverse: true, utf8, strictness: options.strictness })
  let isMaybe = path.verdict === 'maybe'
  if (path.verdict === 'bad') refusals.push(501)
  if (path.verdict === 'utf8') refusals.push(553)
  const parameters =
    path.parameters === undefined || path.parameters === null ? new Map() : readParameters(path.parameters)
  if (parameters === null) {
    if (options.strictness === 'lenient') isMaybe = true
    else refusals.push(501)
    if (!/^[\x00-\x7f]*$/.test(path.parameters)) isMaybe = true // oxlint-disable-line no-control-regex
    return { path, parameters: new Map(), isMaybe }
  }
  const known = { SIZE: 'SIZE', BODY: '8BITMIME', SMTPUTF8: 'SMTPUTF8', AUTH: 'AUTH', RET: 'DSN', ENVID: 'DSN' }
  for (const [keyword, value] of parameters) {
    const extension = Object.hasOwn(known, keyword) ? known[keyword] : null
    const isOffered =
      extension !== null && (extension === 'AUTH' ? authOffered(model) : offers(extension) || isBinary(keyword, offers))
    if (!isOffered) refusals.push(555)
    else if (!VALUES[keyword](value, options))
      refusals.push(keyword === 'BODY' && /^BINARYMIME$/i.test(value ?? '') ? 555 : 501, 501)
    if (keyword === 'AUTH' && isOffered) isMaybe = true
  }
  if (options.size > 0 && Number(parameters.get('SIZE') ?? 0) > options.size) refusals.push(552)
  if (path.isAscii === false && !parameters.has('SMTPUTF8')) refusals.push(553)
  return { path, parameters, isMaybe }
}

/** BINARYMIME has the parameter too. [RFC 3030 §3] */
function isBinary(keyword, offers) {
  return keyword === 'BODY' && offers('BINARYMIME')
}

function authOffered({ options, extended, tls }) {
  return (
    options.auth !== null && (tls || options.authNeedsTls !== true) && (extended || options.strictness === 'lenient')
  )
}

const VALUES = {
  SIZE: value => /^\d{1,20}$/.test(value ?? ''),
  BODY: (value, { extensions }) =>
    /^(?:7BIT|8BITMIME)$/i.test(value ?? '') || (extensions.BINARYMIME && /^BINARYMIME$/i.test(value ?? '')),
  SMTPUTF8: value => value === null,
  AUTH: () => true,
  RET: value => /^(?:FULL|HDRS)$/i.test(value ?? ''),
  ENVID: value => value !== null && value.length <= 100 && /^[ -~]+$/.test(readXtext(value) ?? ''),
}

/** The parameters of RCPT that the cases have: NOTIFY=NEVER. [RFC 3461 §4.1] */
export function areKnown({ options, extended }, parameters) {
  if (parameters.size === 0) return true
  const hasDsn = options.extensions.DSN && (extended || options.strictness === 'lenient')
  return hasDsn && parameters.size === 1 && parameters.get('NOTIFY') === 'NEVER'
}
