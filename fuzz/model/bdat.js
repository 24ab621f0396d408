// BDAT. [RFC 3030 §2]

import { GONE, JUDGES, judge } from '../moods.js'
import { contentOf } from './content.js'

const IN_SEQUENCE = new Set(['recipients', 'chunks', 'failed'])

export function bdat(model, argument, what, count) {
  const { options } = model
  if (model.phase === 'refused') return model.expect([503], count, what)
  if (!options.extensions.CHUNKING) return model.expect([502], () => model.close(), what)
  const [, digits, last] = /^(\d{1,15})( LAST)?[ \t]*$/i.exec(argument) ?? []
  if (digits === undefined) return model.expect([521], () => model.close(), what)
  const size = Number(digits)
  const refusals = orderRefusals(model)
  const range = refusals.includes(503) || refusals.includes(530) ? null : sizes(model, size)
  if (range !== null && range.most > options.size && options.size > 0) {
    if (range.least > options.size) refusals.push(552)
    else range.isUnclear = true
  }
  const context = { model, what, count, isLast: last !== undefined, range }
  if (refusals.includes(552) && options.oversize === 'close') return model.expect([552], () => model.close(), what)
  model.chunk = { count: size, then: octets => afterChunk(context, octets, refusals) }
  model.takeChunk()
}

function orderRefusals({ phase, options, tls, mail }) {
  const refusals = []
  if (options.tls === 'required' && !tls) refusals.push(530)
  if (!IN_SEQUENCE.has(phase) || phase === 'failed') refusals.push(503)
  if (refusals.length === 0 && phase === 'recipients') {
    const code = JUDGES[judge(mail.moods[1])]
    if (code !== null && (code >= 400 || code === GONE)) refusals.push(code)
  }
  return refusals
}

/** How many octets the message has with this chunk: line ends may be counted as they came or as they are handed on. */
function sizes(model, size) {
  const { bareNewline } = model.options
  const isBinary = model.mail.body === 'BINARYMIME'
  const content = contentOf(model.wire, { counted: true, bareNewline: isBinary ? 'allow' : bareNewline }).length
  const held = model.wire.length === 0 || isBinary ? 0 : /\r*$/.exec(model.wire)[0].length
  return {
    least: Math.min(content - held, model.wire.length - held) + size,
    most: Math.max(content, model.wire.length) + size,
  }
}

function afterChunk({ model, what, count, isLast, range }, octets, refusals) {
  const inSequence = IN_SEQUENCE.has(model.phase)
  if (refusals.length > 0) {
    if (isLast && inSequence) return refuseLast(model, refusals, what, count)
    return model.expect(refusals, code => {
      if (model.phase !== 'failed') count(code) // a sequence is one error
      if (inSequence) fail(model)
    }, what) // prettier-ignore
  }
  model.mail.started = true
  model.wire += octets
  model.phase = 'chunks'
  if (model.options.oversize === 'close' && model.offenceSoFar(isLast) === 'size') {
    return model.expect([552], () => model.close(), what)
  }
  if (isLast) {
    model.conclude()
    if (range.isUnclear) model.alsoTake(552, model.options.oversize === 'close') // by how line ends are counted
    return
  }
  const early = model.earlyRefusals
  const isTooLarge = range.isUnclear && model.options.oversize === 'close' && !early.includes(552)
  model.expect([250, ...early, ...(range.isUnclear ? [552] : [])], code => {
    count(code)
    if (code !== 250) fail(model)
    if (code === 552 && isTooLarge) model.close()
  }, what) // prettier-ignore
}

function fail(model) {
  if (model.mail.started) model.messages.push({ ...model.mail, codes: null, wire: model.wire })
  model.mail.started = false
  model.phase = 'failed'
}

/** The whole message is refused: in LMTP once for each recipient. [RFC 2033 §4.3] */
function refuseLast(model, refusals, what, count) {
  const replies = model.options.lmtp ? model.mail.recipients.length : 1
  for (let i = 0; i < replies; i++) {
    model.expect(refusals, code => {
      if (i === 0 && model.phase !== 'failed') count(code)
      if (i === replies - 1) model.reset()
    }, what) // prettier-ignore
  }
}
