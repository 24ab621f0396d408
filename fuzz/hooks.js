// The options of a handler for a case: hooks that do what the addresses say, and a record of what they got.

import { setImmediate as turn } from 'node:timers/promises'
import { PASSWORD } from './model/auth.js'
import { judge, moodsIn, taker } from './moods.js'

const REFUSAL = [554, '5.7.1', 'Refused']
const DEFERRAL = [450, '4.2.0', 'Later']

/** An error that a hook throws on purpose. */
export class Planned extends Error {}

export class Record {
  messages = []
  closed = 0
  errors = []
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
  const ask = word => {
    const mood = judge(word)
    if (mood === 'ok') return undefined
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
      auth: { insecure: options.authNeedsTls !== true, required: options.auth === 'required', ...lib.guesses },
    }),
    ...(options.tls !== null && { tls: { ...tls, required: options.tls === 'required' } }),
    ...(options.xclient && { xclient: ['127.0.0.0/8'] }),
    ...(options.filters && { filters: [() => lib.passThrough()] }),
    handleError: error => {
      if (!(error instanceof Planned) && error.code !== 'ERR_UNREAD') record.errors.push(error)
    },
    onConnect: () => (options.greeting === 'words' ? reply(220, 'mx.example in other words') : ask(options.greeting)),
    onHelo: ({ helo }) => ask(/^([a-z]+)\./.exec(helo ?? '')?.[1]),
    onAuth: ({ user, password }) => judgeUser(user, password, ask, reply),
    onMailFrom: ({ address }) => ask(moodsIn(address)[0]),
    onRcptTo: ({ address }) => ask(moodsIn(address)[0]),
    onData: ({ envelope }) => onData(moodsIn(envelope.sender.address)[1], ask, reply),
    onMessage: (message, { envelope }) => take(message, envelope, record, reply, options),
    onClose: () => void (record.closed += 1),
  }
}

function onData(word, ask, reply) {
  return judge(word) === 'words' ? reply(250, '2.0.0', 'Go on') : ask(word)
}

function judgeUser(user, password, ask, reply) {
  if (!/^[a-z]+$/.test(user) || password !== PASSWORD) return reply(535, '5.7.8', 'Wrong')
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
  if (mood === 'early') return reply(...REFUSAL)
  if (mood === 'throw') throw new Planned('thrown')
  if (mood === 'unread') return undefined
  if (mood === 'destroy') return void message.destroy(new Planned('destroyed'))
  if (mood === 'flow') return flow(message, entry)
  return read(message, entry, mood, reply, lmtp)
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

async function read(message, entry, mood, reply) {
  if (mood === 'readlater') for (let i = 0; i < 3; i++) await turn()
  entry.isRaw = mood === 'raw'
  const source = entry.isRaw ? message.raw() : message
  try {
    for await (const chunk of source) {
      entry.content += chunk.toString('latin1')
      if (mood === 'leave') return undefined
      if (mood === 'readlater') await turn()
    }
  } catch (error) {
    entry.failed = true
    throw error
  }
  entry.ended = true
  if (mood === 'readrefuse') return reply(...REFUSAL)
  if (mood === 'readthrow') throw new Planned('thrown after all was read')
  return undefined
}
