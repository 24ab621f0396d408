// What each command may be answered, by where the session stands.

import { GONE, JUDGES, judge, moodsIn } from '../moods.js'
import { answerAuth } from './auth.js'
import { bdat } from './bdat.js'
import { isHeloName, isLiteral, readParameters, readPath, readXtext } from './grammar.js'
import { areKnown, mailRefusals } from './parameters.js'

const GROUP_ENDS = new Set(['HELO', 'EHLO', 'LHLO', 'DATA', 'AUTH'])
const SMTP_ONLY = new Set(['HELO', 'EHLO'])
const PROXY_ONLY = new Set(['XCLIENT', 'XFORWARD'])
const JUNK = new Set(['HELO', 'EHLO', 'LHLO', 'RSET', 'NOOP', 'VRFY', 'EXPN', 'HELP'])
const IN_CLEAR = new Set(['EHLO', 'LHLO', 'STARTTLS', 'NOOP', 'QUIT', 'XCLIENT'])
const HTTP = /^(?:GET|POST|PUT|HEAD|CONNECT|OPTIONS|DELETE|PATCH|TRACE)$|:$/
const BETWEEN = new Set(['AUTH', 'MAIL', 'STARTTLS', 'XFORWARD'])

const upper = verb => verb.replaceAll(/[a-z]/g, letter => letter.toUpperCase())

/** Has the model expect the replies to a line. */
export function runCommand(model, { problem, text }) {
  const verb = upper(/^[A-Za-z]*/.exec(text)[0])
  if (problem !== null) return refuseLine(model, problem, verb, text)
  const line = text.replace(/[ \t]+$/, '')
  const space = line.indexOf(' ')
  const word = upper(space === -1 ? line : line.slice(0, space))
  const argument = space === -1 ? '' : line.slice(space + 1)
  answer(model, word, argument)
}

function refuseLine(model, problem, verb, text) {
  const ends = problem === 'bare-newline'
  const count = code => model.countReply(code)
  if (verb === 'BDAT') return model.expect([521], () => model.close(), 'BDAT in a bad line')
  const what = `a line with ${problem}`
  if (problem === 'not-utf8' && /^(?:HELO|EHLO|LHLO) /i.test(text) && knows(model, verb)) {
    return latin1Greeting(model, verb, text, what)
  }
  model.expect([500], code => (ends ? model.close() : count(code)), what)
}

/** A name in Latin-1: 501, and a lenient server may take it. */
function latin1Greeting(model, verb, text, what) {
  const lenient = model.options.strictness === 'lenient'
  const refuses = model.phase === 'refused' || (lenient && talksAhead(model, verb))
  if (lenient && refuses && model.phase !== 'refused') return model.expect([503], () => model.close(), what)
  const codes = lenient ? [250, 501, 503, 530, 554, 450, 451] : [501, 500]
  model.expect(codes, code => (code === 250 ? greeted(model, verb) : model.countReply(code)), what)
}

function knows(model, verb) {
  const { lmtp, xclient } = model.options
  if (SMTP_ONLY.has(verb)) return !lmtp
  if (verb === 'LHLO') return lmtp
  if (PROXY_ONLY.has(verb)) return xclient
  return Object.hasOwn(VERBS, verb)
}

function talksAhead(model, verb) {
  const { unlawfulPipelining } = model.options
  return GROUP_ENDS.has(verb) && unlawfulPipelining === 'refuse' && model.user === null && model.hasMore
}

function answer(model, verb, argument) {
  const what = `${verb} ${argument}`.slice(0, 60)
  const count = code => model.countReply(code, JUNK.has(verb))
  if (!knows(model, verb)) {
    if (model.phase === 'refused') return model.expect([503], count, what)
    return HTTP.test(verb) ? model.expect([521], () => model.close(), what) : model.expect([500], count, what)
  }
  if (verb === 'BDAT') return VERBS.BDAT(model, argument, what, count)
  if (model.phase === 'refused') {
    if (verb !== 'QUIT') return model.expect([503], count, what)
    return argument === '' ? model.expect([221], () => model.close(), what) : model.expect([501], count, what)
  }
  if (talksAhead(model, verb)) return model.expect([503], () => model.close(), `${what}, and more behind it`)
  const refusals = refusalsOf(model, verb)
  VERBS[verb](model, argument, what, count, refusals)
}

/** Codes by order, TLS and AUTH: one of them, if there are any. */
function refusalsOf(model, verb) {
  const { phase, options, tls, user } = model
  const refusals = []
  if (options.tls === 'required' && !tls && !IN_CLEAR.has(verb)) refusals.push(530)
  if (options.auth === 'required' && user === null && verb === 'MAIL') refusals.push(530)
  if (BETWEEN.has(verb) && phase !== 'greeted') refusals.push(503)
  if (verb === 'XCLIENT' && phase !== 'greeted' && phase !== 'connected') refusals.push(503)
  if (verb === 'RCPT' && phase !== 'sender' && phase !== 'recipients') refusals.push(503)
  if (verb === 'DATA' && phase !== 'recipients') refusals.push(503)
  return refusals
}

/** Expects one of the refusals; without any, `happy` expects. */
function unless(model, refusals, what, count, happy) {
  if (refusals.length > 0) model.expect([...new Set(refusals)], count, what)
  else happy()
}

/** Expects what a hook says: nothing of its own is 250, or `code`. */
function judged(model, mood, code, what, count, then) {
  const said = JUDGES[judge(mood)] ?? code
  model.expect([said < 400 && said !== GONE ? code : said], given => {
    count(given)
    if (given < 400) then()
  }, what) // prettier-ignore
}

function greeted(model, verb) {
  model.reset()
  model.phase = 'greeted'
  model.extended = verb !== 'HELO'
}

function greet(verb) {
  return (model, argument, what, count, refusals) => {
    const name = argument.trim()
    const isName = isHeloName(name) && (!/^\[.*\]$/.test(name) || isLiteral(name.slice(1, -1)) || 'maybe')
    const lenient = model.options.strictness === 'lenient'
    const bad = isName !== true
    if (bad && !lenient && isName === false) refusals.push(501)
    unless(model, refusals, what, count, () => {
      const mood = judge(/^([a-z]+)\./.exec(name)?.[1])
      const said = JUDGES[mood] ?? 250
      const codes = bad ? [said, 250, 501] : [said]
      model.expect(codes, code => {
        count(code)
        if (code === 501) return
        model.reset()
        if (code < 400) greeted(model, verb)
        else model.phase = 'connected'
      }, what) // prettier-ignore
    })
  }
}

const ANY_REFUSAL = [501, 553, 555, 552]

/** The reply to a path; `accepted` is called if it is taken. With `isMaybe` the server may also refuse it for its syntax. */
function answerPath(model, { path, isMaybe }, what, count, refusals, accepted) {
  if (isMaybe && refusals.length > 0) refusals.push(...ANY_REFUSAL)
  unless(model, refusals, what, count, () => {
    const said = JUDGES[judge(moodsIn(path.address)[0])] ?? 250
    model.expect(isMaybe ? [said, ...ANY_REFUSAL] : [said], code => {
      count(code)
      if (code < 400) accepted()
    }, what) // prettier-ignore
  })
}

const VERBS = {
  HELO: greet('HELO'),
  EHLO: greet('EHLO'),
  LHLO: greet('LHLO'),

  MAIL(model, argument, what, count, refusals) {
    const { path, parameters, isMaybe } = mailRefusals(model, argument, refusals)
    answerPath(model, { path, isMaybe }, what, count, refusals, () => model.begin(path.address, parameters))
  },

  RCPT(model, argument, what, count, refusals) {
    const { options, mail } = model
    const path = readPath(argument, { reverse: false, utf8: mail?.utf8 === true, strictness: options.strictness })
    if (path.verdict === 'bad') refusals.push(501)
    if (path.verdict === 'utf8') refusals.push(553)
    const parameters = readParameters(path.parameters ?? '')
    if (parameters === null) refusals.push(501)
    else if (!areKnown(model, parameters)) refusals.push(555, 501)
    if ((mail?.recipients.length ?? 0) >= options.limits.recipients) refusals.push(452)
    const isMaybe = path.verdict === 'maybe' || (parameters === null && options.strictness === 'lenient')
    answerPath(model, { path, isMaybe }, what, count, refusals, () => {
      mail.recipients.push(path.address)
      model.phase = 'recipients'
    })
  },

  DATA(model, argument, what, count, refusals) {
    if (argument !== '') refusals.push(501)
    if (model.mail?.body === 'BINARYMIME') refusals.push(503) // [RFC 3030 §3]
    unless(model, refusals, what, count, () =>
      judged(model, model.mail.moods[1], 354, what, count, () => (model.mode = 'data')),
    )
  },

  BDAT: (model, argument, what, count) => bdat(model, argument, what, count),
  RSET: (model, argument, what, count, refusals) => {
    if (argument !== '') refusals.push(501)
    unless(model, refusals, what, count, () => model.expect([250], code => (count(code), model.reset()), what))
  },
  NOOP: (model, _argument, what, count, refusals) =>
    unless(model, refusals, what, count, () => model.expect([250], count, what)),
  VRFY: (model, argument, what, count, refusals) =>
    unless(model, refusals, what, count, () => model.expect([argument === '' ? 501 : 252], count, what)),
  EXPN: (model, _argument, what, count, refusals) =>
    unless(model, refusals, what, count, () => model.expect([502], count, what)),
  HELP: (model, _argument, what, count, refusals) =>
    unless(model, refusals, what, count, () => model.expect([214], count, what)),

  QUIT(model, argument, what, count) {
    if (argument !== '') model.expect([501], count, what)
    else model.expect([221], () => model.close(), what)
  },

  STARTTLS(model, argument, what, count, refusals) {
    if (argument !== '') refusals.push(501)
    const isOffered = model.options.tls !== null && model.options.canUpgrade
    if (model.tls) refusals.push(503)
    else if (!isOffered) refusals.push(502)
    unless(model, refusals, what, count, () => {
      if (model.hasMore) return model.expect([503], () => model.close(), 'STARTTLS, and more in clear')
      model.expect([220], () => {
        model.startAgain()
        model.wantsTls = true
      }, what) // prettier-ignore
    })
  },

  AUTH: (model, argument, what, count, refusals) => answerAuth(model, argument, what, count, refusals),

  XCLIENT(model, argument, what, count, refusals) {
    if (!isProxySyntax(argument)) refusals.push(501)
    unless(
      model,
      refusals,
      what,
      count,
      () =>
      model.expect([220, 501], code => {
        count(code)
        if (code === 501) return
        model.startAgain()
        model.extended = /(?:^| )PROTO=ESMTP/i.test(argument)
        model.user = /(?:^| )LOGIN=(?!\[)/i.test(argument) ? 'somebody' : null
      }, what), // prettier-ignore
    )
  },
  XFORWARD(model, argument, what, count, refusals) {
    if (!isProxySyntax(argument)) refusals.push(501)
    unless(model, refusals, what, count, () => model.expect([250, 501], count, what))
  },
}

/** Attributes with values of xtext that hold no controls. [Postfix XCLIENT_README] */
function isProxySyntax(argument) {
  const attributes = argument.split(' ').filter(each => each !== '')
  if (attributes.length === 0) return false
  return attributes.every(each => {
    const [, value] = /^[A-Z_]+=(.+)$/i.exec(each) ?? []
    const decoded = value === undefined ? null : readXtext(value)
    // oxlint-disable-next-line no-control-regex -- controls are what it looks for
    return decoded !== null && !/[\x00-\x1f\x7f]/.test(decoded)
  })
}
