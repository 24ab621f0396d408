// Steps that the mechanisms of SASL share. [RFC 4954 §4]

import { GONE, JUDGES, judge } from '../moods.js'
import { readBase64 } from './grammar.js'

/**
 * Expects 334, or a refusal of `also`, then takes a line: base64, `*`, or what is neither. `says` is asked whether the
 * challenge is right; `cancelled` gets the code of an exchange that ends here.
 */
export function challenge({ model, what, count }, then, { also = [], says = () => true, cancelled = count } = {}) {
  model.expect([334, ...also], (code, reply) => {
    if (code !== 334) return failed(model, code, count)
    const said = readBase64(reply.slice(4, -2))?.toString()
    if (said === undefined || !says(said)) throw new Error(`a wrong challenge to ${what}: ${reply}`)
    model.mode = ({ problem, text }) => {
      if (problem === 'bare-newline') return model.expect([500], () => model.close(), 'a response with a bare newline')
      if (problem !== null) return model.expect([500], cancelled, `a response with ${problem}`)
      const response = text === '*' ? null : readBase64(text)
      if (response === null) return model.expect([501], cancelled, 'a response')
      then(response)
    }
  }, what) // prettier-ignore
}

export const isUser = name => /^[a-z]+$/.test(name)

/** What the hook says to a user who has shown the right secret. */
export function codeOf(user) {
  const said = JUDGES[judge(user)] ?? 235
  return said === 250 ? 235 : said
}

/** The user has shown the right secret: what the hook says. */
export function conclude({ model, what, count }, user, code) {
  model.expect([code], given => {
    if (given === 235) model.user = user
    else if (given !== GONE) failed(model, given, count, { isOurs: given < 500 })
  }, what) // prettier-ignore
}

/** Wrong credentials, as far as the code tells; `isUnclear`: the server may count them. */
export function failed(model, code, count, { isOurs = false, isUnclear = false } = {}) {
  count(code)
  if (isUnclear) model.guesses.most += 1
  if (isUnclear || code < 500 || code === 501 || isOurs) return
  model.guesses.least += 1
  model.guesses.most += 1
}
