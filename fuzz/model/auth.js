// AUTH: PLAIN and LOGIN, for the one user that the cases know. [RFC 4954 §4, RFC 4616]

import { JUDGES, judge } from '../moods.js'
import { readBase64 } from './grammar.js'

/** The password of every user whose name is a mood. */
export const PASSWORD = 'open sesame'

export function answerAuth(model, argument, what, count, refusals) {
  const { options } = model
  if (options.auth === null) refusals.push(502)
  if (model.user !== null) refusals.push(503)
  if (options.auth !== null && options.authNeedsTls === true && !model.tls) refusals.push(538)
  if (refusals.length > 0) return model.expect([...new Set(refusals)], count, what)
  const [, mechanism, initial] = /^([A-Za-z0-9_-]{1,20})(?: +(\S+))? *$/.exec(argument) ?? []
  if (mechanism === undefined) return model.expect([501], count, what)
  if (!/^(?:PLAIN|LOGIN)$/i.test(mechanism)) return model.expect([504], count, what)
  const decoded = initial === undefined ? null : initial === '=' ? Buffer.alloc(0) : readBase64(initial)
  if (initial !== undefined && decoded === null) return model.expect([501], count, what)
  const isPlain = /^PLAIN$/i.test(mechanism)
  const finish = isPlain ? response => plain(model, response, what, count) : null
  if (!isPlain) return login(model, decoded?.length === 0 ? null : decoded, what, count)
  if (decoded !== null) return finish(decoded)
  challenge(model, what, count, finish)
}

/** Expects 334, then takes a line: base64, `*`, or what is neither. */
function challenge(model, what, count, then, alsoRefused = []) {
  model.expect([334, ...alsoRefused], code => {
    if (code !== 334) return count(code)
    model.mode = ({ problem, text }) => {
      if (problem === 'bare-newline') return model.expect([500], () => model.close(), 'a response with a bare newline')
      if (problem !== null) return model.expect([500], count, `a response with ${problem}`)
      const response = text === '*' ? null : readBase64(text)
      if (response === null) return model.expect([501], count, 'a response')
      then(response)
    }
  }, what) // prettier-ignore
}

function login(model, initial, what, count) {
  const askPassword = user => {
    const finish = password => verdict(model, user, password, what, count)
    challenge(model, what, count, finish, [501]) // a name may be malformed
  }
  if (initial === null) challenge(model, what, count, askPassword)
  else askPassword(initial)
}

function plain(model, response, what, count) {
  const [, user, password, ...more] = response.toString('latin1').split('\0')
  if (password === undefined || more.length > 0)
    return model.expect([501, 535], code => failed(model, code, count), what)
  verdict(model, Buffer.from(user, 'latin1'), Buffer.from(password, 'latin1'), what, count)
}

function verdict(model, user, password, what, count) {
  const name = user.toString('latin1')
  if (!/^[a-z]+$/.test(name) || password.toString('latin1') !== PASSWORD) {
    return model.expect([535, 501], code => failed(model, code, count), what)
  }
  const mood = judge(name)
  const said = JUDGES[mood] ?? 235
  const code = said === 250 ? 235 : said
  model.expect([code], given => {
    if (given === 235) model.user = name
    else failed(model, given, count, given < 500)
  }, what) // prettier-ignore
}

/** Wrong credentials, as far as the code tells. */
function failed(model, code, count, isOurs = false) {
  count(code)
  if (code >= 500 && code !== 501 && !isOurs) model.authFailures += 1
}
