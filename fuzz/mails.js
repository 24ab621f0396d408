// Cases of mails: what is sent through SmtpClient or the relay, and how the upstream is bent.

import { Writer } from './cases.js'
import { makeDestructionAt, PLACES } from './destroy.js'
import { BEND_NAMES } from './upstream.js'

const EXTENSIONS = [
  'PIPELINING',
  '8BITMIME',
  'CHUNKING',
  'BINARYMIME',
  'SIZE 100000',
  'SMTPUTF8',
  'ENHANCEDSTATUSCODES',
]

function bendsFor(random) {
  if (random.chance(0.3)) return {}
  const bends = {}
  for (let i = random.whole(1, 2); i > 0; i--) {
    bends[random.whole(0, 14)] = BEND_NAMES[random.whole(0, BEND_NAMES.length - 1)]
  }
  return bends
}

/** Where a program destroys its client: at a command, in the mail data, when a reply comes, when a promise settles. */
const OF_CLIENT = ['command', 'source', 'reply', 'settled']
/** Where one destroys the handler whose delivery is the relay: in the delivery's hooks, or in a filter. */
const OF_RELAY = [
  ...['onMailFrom', 'onRcptTo', 'onData', 'onMessage', 'onReset', 'onClose', 'offer'],
  ...['filter', 'transform', 'flush'],
]

/** Null: nobody destroys anything. */
function destructionFor(random, kind) {
  if (random.chance(0.7)) return null
  if (kind === 'relay') return makeDestructionAt(random, OF_RELAY)
  const place = OF_CLIENT[random.whole(0, OF_CLIENT.length - 1)]
  return { place, call: random.whole(1, 6), fails: random.chance(0.5) }
}

/** A server of this library in the place of a bent one, whose program may destroy its handler; null: a bent one. */
function serverFor(random, kind) {
  if (kind !== 'client' || random.chance(0.7)) return null
  return { destroys: random.chance(0.8) ? makeDestructionAt(random, [...PLACES, 'onMessage']) : null }
}

/** `kind` is `client` or `relay`. */
export function makeMails(random, kind) {
  const writer = new Writer(random, { lmtp: false, auth: null, extensions: {} })
  const mails = []
  for (let i = random.whole(1, 3); i > 0; i--) {
    mails.push({
      content: writer.content(Number(random.pick({ 0: 1, 5: 2, 60: 4, 600: 1 }))),
      recipients: random.whole(1, 3),
      by: random.chance(0.5) ? 'BDAT' : 'DATA',
      pieces: random.whole(1, 4),
      isBroken: random.chance(0.1),
      ends: random.chance(0.9),
    })
  }
  return {
    kind,
    mails,
    upstream: {
      extensions: EXTENSIONS.filter(() => random.chance(0.7)),
      bends: bendsFor(random),
      lmtp: random.chance(0.2),
      seed: random.whole(1, 1e6),
      own: serverFor(random, kind),
    },
    options: {
      pipelining: random.chance(0.7),
      bareNewline: ['normalize', 'reject', 'allow'][random.whole(0, 2)],
      lmtp: kind === 'relay' && random.chance(0.2),
    },
    destroys: destructionFor(random, kind),
  }
}

/** Smaller cases, for shrink(). */
export function* fewerMails(given) {
  const { mails, upstream } = given
  for (let i = 0; i < mails.length; i++) yield { ...given, mails: mails.toSpliced(i, 1) }
  for (const key of Object.keys(upstream.bends)) {
    const { [key]: _, ...bends } = upstream.bends
    yield { ...given, upstream: { ...upstream, bends } }
  }
  for (let i = 0; i < upstream.extensions.length; i++) {
    yield { ...given, upstream: { ...upstream, extensions: upstream.extensions.toSpliced(i, 1) } }
  }
  for (const [i, mail] of mails.entries()) {
    for (let length = mail.content.length >> 1; length >= 1; length >>= 1) {
      for (let at = 0; at < mail.content.length; at += length) {
        const content = mail.content.slice(0, at) + mail.content.slice(at + length)
        yield { ...given, mails: mails.with(i, { ...mail, content }) }
      }
    }
    if (mail.recipients > 1) yield { ...given, mails: mails.with(i, { ...mail, recipients: 1 }) }
    if (mail.pieces > 1) yield { ...given, mails: mails.with(i, { ...mail, pieces: 1 }) }
  }
}
