// The mechanisms with challenges: SCRAM-SHA-256, CRAM-MD5, OAUTHBEARER and XOAUTH2, step by step.
// [RFC 5802, RFC 7677, RFC 2195, RFC 7628, RFC 4954 §4] Nothing of lib/ is used here.

import { GONE } from '../moods.js'
import { challenge, codeOf, conclude, failed, isUser } from './exchange.js'
import { readBase64 } from './grammar.js'
import {
  CHALLENGE,
  digestOf,
  ITERATIONS,
  NONCE,
  PASSWORD,
  proofOf,
  serverFirstOf,
  signatureOf,
  TOKEN,
} from './secrets.js'

/** Malformed, or wrong: which of them is the server's choice. */
function refuse(context) {
  context.model.expect([501, 535], code => failed(context.model, code, context.count), context.what)
}

/** Takes the first message: as the initial response, or behind an empty challenge. */
function withFirst(context, initial, take) {
  if (initial !== null) return take(initial)
  challenge(context, take, { says: text => text === '' })
}

// ── SCRAM-SHA-256 ──

// oxlint-disable-next-line no-control-regex -- NUL is what may not be there
const FIRST = /^([ny],(?:a=([^,]+))?,)(n=([^,]+),r=([!-+\x2d-~]{1,128})(?:,x=[^,\0]+)*)$/
const FINAL = /^(c=([A-Za-z0-9+/=]*),r=([!-+\x2d-~]+)(?:,x=[^,\0]+)*),p=([^,]*)$/ // oxlint-disable-line no-control-regex

export function scram(context, initial) {
  withFirst(context, initial, octets => {
    const [, header, authzid, bare, user, nonce] = FIRST.exec(octets.toString('latin1')) ?? []
    if (bare === undefined || (authzid !== undefined && authzid !== user)) return refuse(context)
    const [begin, end] = [`r=${nonce}${NONCE},s=`, `,i=${ITERATIONS}`]
    const serverFirst = serverFirstOf(nonce)
    // For an unknown user the steps are the same, with another salt. [RFC 5802 §7]
    const says = text => (isUser(user) ? text === serverFirst : text.startsWith(begin) && text.endsWith(end))
    challenge(context, octets => final(context, octets, { header, bare, user, nonce, serverFirst }), {
      says,
      also: isUser(user) ? [] : [501, 535],
    })
  })
}

function final(context, octets, { header, bare, user, nonce, serverFirst }) {
  const [, withoutProof, binding, fullNonce, proof] = FINAL.exec(octets.toString('latin1')) ?? []
  if (withoutProof === undefined) return refuse(context)
  const authMessage = `${bare},${serverFirst},${withoutProof}`
  const isBound = readBase64(binding)?.toString('latin1') === header && fullNonce === `${nonce}${NONCE}`
  if (!isBound || !isUser(user) || proof !== proofOf(authMessage)) return refuse(context)
  const code = codeOf(user)
  if (code !== 235) return conclude(context, user, code)
  const signature = signatureOf(authMessage)
  const last = response => {
    if (response.length === 0) conclude(context, user, 235)
    else context.model.expect([501], context.count, 'more than SCRAM has to say')
  }
  challenge(context, last, { says: text => text === signature })
}

// ── CRAM-MD5 ──

/** The server speaks first: an initial response is an error. [RFC 4954 §4] */
export function cramMd5(context, initial) {
  const { model, count, what } = context
  if (initial !== null) return model.expect([501], count, what)
  const answer = octets => {
    const [, user, digest] = /^([^]*) ([0-9a-f]{32})$/.exec(octets.toString('latin1')) ?? []
    if (user === undefined || !isUser(user) || digest !== digestOf(PASSWORD)) return refuse(context)
    conclude(context, user, codeOf(user))
  }
  challenge(context, answer, { says: text => text === CHALLENGE })
}

// ── OAUTHBEARER, XOAUTH2 ──

/** The fields of a message, each between two 0x01. [RFC 7628 §3.1] */
function fieldsOf(text) {
  // oxlint-disable-next-line no-control-regex -- 0x01 is the separator
  if (!/^\x01(?:[A-Za-z]+=[^\x01]*\x01)+\x01$/.test(text)) return null
  const fields = text.slice(1, -2).split('\x01')
  const map = new Map(fields.map(field => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]))
  return map.size === fields.length ? map : null
}

export function oauthbearer(context, initial) {
  withFirst(context, initial, octets => {
    const [header, user = ''] = /^[ny],(?:a=((?:[^,=]|=2C|=3D)+))?,/.exec(octets.toString('latin1')) ?? []
    const fields = header === undefined ? null : fieldsOf(octets.toString('latin1').slice(header.length))
    const { host, port } = Object.fromEntries(fields ?? [])
    const isPort = port === undefined || (/^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) < 65_536)
    if (!fields?.has('auth') || !isPort || host === '') return refuse(context)
    bearer(context, user, fields.get('auth'))
  })
}

export function xoauth2(context, initial) {
  withFirst(context, initial, octets => {
    const fields = fieldsOf(`\x01${octets.toString('latin1')}`)
    if (!fields?.has('auth') || !fields.get('user')) return refuse(context)
    bearer(context, fields.get('user'), fields.get('auth'))
  })
}

function bearer(context, user, auth) {
  const { model, count, what } = context
  const token = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(auth)?.[1]
  const isRight = token === TOKEN && isUser(user)
  const code = isRight ? codeOf(user) : 535
  if (code === 235 || code === GONE) return conclude(context, user, code)
  const refused = given => failed(model, given, count, { isUnclear: token === undefined || given < 500 })
  // The reason, then whatever the client says to it, then the refusal. [RFC 7628 §3.2.3]
  const says = text => {
    const { status } = JSON.parse(text)
    return status === 'invalid_token' || status === '401'
  }
  const cancelled = given => failed(model, given, count, { isUnclear: true })
  challenge(context, () => model.expect([code], refused, what), { says, also: code < 500 ? [code] : [], cancelled })
}
