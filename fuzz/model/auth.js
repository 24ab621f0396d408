// AUTH, for the one user that the cases know: PLAIN and LOGIN here, the others in sasl.js. [RFC 4954 §4, RFC 4616]

import { challenge, codeOf, conclude, failed, isUser } from './exchange.js'
import { readBase64 } from './grammar.js'
import { cramMd5, oauthbearer, scram, xoauth2 } from './sasl.js'
import { PASSWORD } from './secrets.js'

/** The mechanisms of a case that names none. */
export const USUAL = ['PLAIN', 'LOGIN']

const MECHANISMS = {
  PLAIN: plain,
  LOGIN: login,
  'SCRAM-SHA-256': scram,
  'CRAM-MD5': cramMd5,
  OAUTHBEARER: oauthbearer,
  XOAUTH2: xoauth2,
}

export function answerAuth(model, argument, what, count, refusals) {
  const { options } = model
  if (options.auth === null) refusals.push(502)
  if (model.user !== null) refusals.push(503)
  if (options.auth !== null && options.authNeedsTls === true && !model.tls) refusals.push(538)
  if (refusals.length > 0) return model.expect([...new Set(refusals)], count, what)
  const [, mechanism, initial] = /^([A-Za-z0-9_-]{1,20})(?: +(\S+))? *$/.exec(argument) ?? []
  if (mechanism === undefined) return model.expect([501], count, what)
  const name = mechanism.toUpperCase()
  if (!(options.mechanisms ?? USUAL).includes(name)) return model.expect([504], count, what)
  const decoded = initial === undefined ? null : initial === '=' ? Buffer.alloc(0) : readBase64(initial)
  if (initial !== undefined && decoded === null) return model.expect([501], count, what)
  MECHANISMS[name]({ model, what, count }, decoded)
}

function login(context, initial) {
  const askPassword = user => {
    // A name may be malformed.
    challenge(context, password => verdict(context, user, password), {
      also: [501],
      says: text => text === 'Password:',
    })
  }
  if (initial === null || initial.length === 0) challenge(context, askPassword, { says: text => text === 'Username:' })
  else askPassword(initial)
}

function plain(context, initial) {
  const { model, what, count } = context
  const take = response => {
    const [, user, password, ...more] = response.toString('latin1').split('\0')
    if (password === undefined || more.length > 0)
      return model.expect([501, 535], code => failed(model, code, count), what)
    verdict(context, Buffer.from(user, 'latin1'), Buffer.from(password, 'latin1'))
  }
  if (initial === null) challenge(context, take, { says: text => text === '' })
  else take(initial)
}

function verdict(context, user, password) {
  const { model, what, count } = context
  const name = user.toString('latin1')
  if (!isUser(name) || password.toString('latin1') !== PASSWORD) {
    return model.expect([535, 501], code => failed(model, code, count), what)
  }
  conclude(context, name, codeOf(name))
}
