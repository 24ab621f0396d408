// The options of a handler for a case: hooks that do what the addresses say, and a record of what they got.

import { setImmediate as turn } from 'node:timers/promises'
import { destroying, destroyingFilter, Destruction, OF_FILTERS, Planned } from './destroy.js'
import { USUAL } from './model/auth.js'
import { PASSWORD, TOKEN } from './model/secrets.js'
import { FAILS_AT, isGone, judge, moodsIn, taker, TAKERS, VERDICTS, verdictOf } from './moods.js'

const REFUSAL = [554, '5.7.1', 'Refused']
const DEFERRAL = [450, '4.2.0', 'Later']

export class Record {
  messages = []
  closed = 0
  errors = []
  destruction = new Destruction()
}

/** What of the options is SmtpHandler's, for the library in `lib`. */
export function handlerOptions(options, lib, record, tls) {
  const { reply, SmtpError } = lib
  const act = async mood => {
    if (mood === 'later' || mood.endsWith('later')) await turn()
    if (mood.startsWith('refuse')) return reply(...REFUSAL)
    if (mood === 'words') return reply(250, '2.1.0', 'As you like')
    if (mood === 'defer') return reply(...DEFERRAL)
    if (mood === 'reject') throw new Planned('rejected')
    if (mood === 'smtperror') throw new SmtpError(reply(458, '4.3.0', 'An SmtpError'))
  }
  const leave = async mood => {
    if (mood === 'gonelater') await turn()
    record.destruction.destroy(mood !== 'gone')
    if (mood === 'gonethrow') throw new Planned('thrown by a hook that has destroyed its handler')
  }
  const ask = word => {
    const mood = judge(word)
    if (mood === 'ok') return undefined
    if (mood === 'gone') return void record.destruction.destroy(false)
    if (isGone(mood)) return leave(mood)
    if (mood === 'throw') throw new Planned('thrown')
    if (mood === 'refuse') return reply(...REFUSAL)
    return act(mood)
  }
  return {
    name: 'mx.example',
    bareNewline: options.bareNewline,
    ...(lib.hasStrictness && { strictness: options.strictness }),
    lmtp: options.lmtp,
    size: options.size,
    oversize: options.oversize,
    unlawfulPipelining: options.unlawfulPipelining,
    extensions: options.extensions,
    limits: { ...options.limits, header: options.header, softErrors: 100_000, junkCommands: 100_000 },
    ...(options.auth !== null && {
      auth: {
        insecure: options.authNeedsTls !== true,
        required: options.auth === 'required',
        mechanisms: (options.mechanisms ?? USUAL).map(name => lib.mechanisms[name]),
        ...lib.guesses,
      },
    }),
    ...(options.tls !== null && { tls: { ...tls, required: options.tls === 'required' } }),
    ...(options.xclient && { xclient: ['127.0.0.0/8'] }),
    ...(options.filters && { filters: filtersOf(options, lib, record) }),
    handleError: error => {
      record.destruction.onError(error)
      if (!isExpected(error, record)) record.errors.push(error)
    },
    ...placed(options, hooksOf(options, reply, ask, record), record),
  }
}

/** Hooks throw, leave a message unread, or give a wrong number of verdicts. */
function isExpected(error, { messages }) {
  if (error instanceof Planned || error.code === 'ERR_UNREAD') return true
  return error.code === 'ERR_REPLY' && messages.some(({ mood }) => mood === 'eachfew' || mood === 'eachmany')
}

/** The hooks. */
function hooksOf(options, reply, ask, record) {
  return {
    onConnect: () => (options.greeting === 'words' ? reply(220, 'mx.example in other words') : ask(options.greeting)),
    onHelo: ({ helo }) => ask(/^([a-z]+)\./.exec(helo ?? '')?.[1]),
    onAuth: credentials => judgeUser(credentials, ask, reply),
    onMailFrom: ({ address }) => ask(moodsIn(address)[0]),
    onRcptTo: ({ address }) => ask(moodsIn(address)[0]),
    onData: ({ envelope }) => onData(moodsIn(envelope.sender.address)[1], ask, reply),
    onMessage: (message, { envelope }) => take(message, envelope, record, reply, options),
    onClose: () => void (record.closed += 1),
  }
}

/** A policy that says nothing, and is asked nothing once the handler is destroyed. */
function witnessOf({ destruction, errors }) {
  const look = () => void (destruction.hasHappened && errors.push(new Error('asked of a handler that is destroyed')))
  return Object.fromEntries(OF_DELIVERY.slice(0, 3).map(name => [name, look]))
}

const OF_DELIVERY = ['onMailFrom', 'onRcptTo', 'onData', 'onMessage', 'onReset', 'onClose']

/** A filter that does nothing else before one that destroys the handler. */
function filtersOf({ destroys = null }, lib, { destruction }) {
  const pass = () => lib.passThrough()
  return OF_FILTERS.has(destroys?.place) ? [pass, destroyingFilter(destroys, destruction)] : [pass]
}

/** The hooks as the handler's own, those of a policy, or of a delivery; one of them may destroy the handler. */
function placed({ destroys = null, hooksIn = 'handler' }, hooks, record) {
  const all = { ...hooks }
  const { place } = destroys ?? {}
  if (place?.startsWith('on')) all[place] = destroying(hooks[place], destroys, record.destruction)
  if (hooksIn === 'handler') return all
  const { onMessage, ...judging } = all
  if (hooksIn === 'policy') return { policies: [judging, witnessOf(record)], onMessage }
  const delivery = {}
  for (const name of OF_DELIVERY) {
    if (all[name] !== undefined) delivery[name] = all[name]
    delete all[name]
  }
  if (place === 'offer') delivery.offer = destroying((_session, offer) => offer, destroys, record.destruction)
  return { ...all, delivery }
}

function onData(word, ask, reply) {
  return judge(word) === 'words' ? reply(250, '2.0.0', 'Go on') : ask(word)
}

function judgeUser({ user, password, token, verified = false }, ask, reply) {
  const isRight = verified || password === PASSWORD || token === TOKEN
  if (!/^[a-z]+$/.test(user) || !isRight) return reply(535, '5.7.8', 'Wrong')
  const mood = judge(user)
  if (mood === 'ok' || mood === 'words') return reply(235, '2.7.0', 'Welcome')
  const answer = ask(user)
  return mood === 'later' ? answer.then(() => reply(235, '2.7.0', 'Welcome')) : answer
}

function take(message, envelope, record, reply, { lmtp }) {
  const mood = taker(moodsIn(envelope.sender.address)[2])
  const entry = {
    sender: envelope.sender.address,
    recipients: envelope.recipients.map(({ address }) => address),
    mood,
    content: '',
    ended: false,
    failed: false,
  }
  record.messages.push(entry)
  if (record.destruction.hasHappened) record.errors.push(new Error('a message of a handler that is destroyed'))
  if (mood === 'early') return reply(...REFUSAL)
  if (mood === 'throw') throw new Planned('thrown')
  if (mood === 'unread') return undefined
  if (mood === 'destroy') return void message.destroy(new Planned('destroyed'))
  if (mood === 'flow') return flow(message, entry)
  const { destruction } = record
  if (TAKERS[mood].byRecipient || mood === 'eachfew') {
    const answers = entry.recipients.slice(0, lmtp ? undefined : 1).map(address => verdictFor(address, reply))
    return takeByRecipient(message, entry, answers, destruction)
  }
  if (mood === 'gone' || mood === 'gonebad') destruction.destroy(mood === 'gonebad')
  if (mood === 'gonebad') return undefined
  return read(message, entry, mood, reply, destruction)
}

function verdictFor(address, reply) {
  const mood = verdictOf(address)
  return mood === 'refuse'
    ? reply(...REFUSAL)
    : mood === 'defer'
      ? reply(...DEFERRAL)
      : reply(VERDICTS[mood], '2.1.5', mood)
}

/** The verdicts as a list or one by one, before or after the message is read. [RFC 2033 §4.2] */
function takeByRecipient(message, entry, answers, destruction) {
  const { mood } = entry
  if (mood === 'eachearly') return answers
  if (mood === 'each') return read(message, entry).then(() => answers)
  if (mood === 'eachfew') return read(message, entry).then(() => (answers.length > 1 ? answers.slice(1) : [...answers, ...answers])) // prettier-ignore
  return oneByOne(message, entry, answers, destruction)
}

async function* oneByOne(message, entry, answers, destruction) {
  const { mood } = entry
  if (mood !== 'eachahead') await read(message, entry)
  for (const [i, answer] of answers.entries()) {
    if (i === FAILS_AT && mood === 'eachgone') destruction.destroy(false)
    if (i === FAILS_AT && mood === 'eachfail') throw new Planned('thrown between two verdicts')
    yield answer
    await turn()
  }
  if (mood === 'eachmany') yield answers[0]
}

/** Listens, as older programs do. */
function flow(message, entry) {
  return new Promise((resolve, reject) => {
    message.on('data', chunk => (entry.content += chunk.toString('latin1')))
    message.on('end', () => {
      entry.ended = true
      resolve()
    })
    message.on('error', error => {
      entry.failed = true
      reject(error)
    })
  })
}

async function read(message, entry, mood = 'each', reply = null, destruction = null) {
  if (mood === 'readlater') for (let i = 0; i < 3; i++) await turn()
  if (mood === 'gonelater') await turn()
  if (mood === 'gonelater') destruction.destroy(true)
  entry.isRaw = mood === 'raw'
  const source = entry.isRaw ? message.raw() : message
  try {
    for await (const chunk of source) {
      entry.content += chunk.toString('latin1')
      if (mood === 'leave') return undefined
      if (mood === 'readlater') await turn()
      if (mood === 'goneread') destruction.destroy(true)
    }
  } catch (error) {
    entry.failed = true
    if (mood === 'goneread') destruction.destroy(false)
    throw error
  }
  entry.ended = true
  if (isGone(mood)) destruction.destroy(false)
  if (mood === 'readrefuse') return reply(...REFUSAL)
  if (mood === 'readthrow') throw new Planned('thrown after all was read')
  return undefined
}
