// Programs that destroy the handler while it calls them: where, when, and what must hold from then on. No further
// reply, and what was said before is what the model expects; the model gets the replies that the end has overtaken.

import { setImmediate as turn } from 'node:timers/promises'
import diagnostics from 'node:diagnostics_channel'
import { Transform } from 'node:stream'

/** An error that a hook throws on purpose, or destroys with. */
export class Planned extends Error {}

/** Methods of a handler, and hooks. */
export const PLACES = [
  ...['handleConnect', 'handleCommand', 'handleHelo', 'handleEhlo', 'handleLhlo', 'handleMail', 'handleRcpt'],
  ...['handleData', 'handleBdat', 'handleBody', 'handleRset', 'handleNoop', 'handleVrfy', 'handleHelp', 'handleQuit'],
  ...['handleUnknown', 'handleProblem', 'handleAuth', 'handleStartTls', 'handleDisconnect', 'logResult'],
  ...['onConnect', 'onSecure', 'onHelo', 'onAuth', 'onMailFrom', 'onRcptTo', 'onData', 'onReset', 'onClose'],
  ...['offer', 'filter', 'transform', 'flush'],
]
/** Nothing waits for what they return. */
const SYNCHRONOUS = new Set(['logResult', 'offer', 'filter'])
/** Places of a filter: the function that makes it, and what its stream does. */
export const OF_FILTERS = new Set(['filter', 'transform', 'flush'])

/** Where and when a program destroys its handler; `'said'`: where the addresses say so. */
export function makeDestruction(random) {
  if (random.chance(0.4)) return 'said'
  return makeDestructionAt(random, PLACES)
}

/** The same, at one of these places. */
export function makeDestructionAt(random, places) {
  const place = places[random.whole(0, places.length - 1)]
  const moments = SYNCHRONOUS.has(place) ? ['before', 'after', 'throws'] : ['before', 'after', 'later', 'throws']
  return {
    place,
    call: place === 'handleCommand' ? random.whole(1, 8) : random.whole(1, 2),
    when: moments[random.whole(0, moments.length - 1)],
    fails: random.chance(0.5),
  }
}

/** The method or hook `original`, which destroys the handler at one of its calls. */
export function destroying(original, { call, when, fails }, destruction) {
  let calls = 0
  const destroy = () => destruction.destroy(fails)
  return function (...values) {
    calls += 1
    const go = () => original?.apply(this, values)
    if (calls !== call) return go()
    if (when === 'later') return later(go, destroy)
    if (when === 'before') destroy()
    const answer = go()
    if (when === 'before') return answer
    destroy()
    if (when === 'after') return answer
    Promise.resolve(answer).catch(() => {})
    throw new Planned('thrown by a program that has destroyed its handler')
  }
}

async function later(go, destroy) {
  const answer = go()
  Promise.resolve(answer).catch(() => {}) // it may reject before it is awaited
  await turn()
  destroy()
  return answer
}

/** A filter that passes everything on, and destroys the handler at its place. */
export function destroyingFilter(destroys, destruction) {
  const { place } = destroys
  const parts = { transform: (chunk, _encoding, done) => done(null, chunk), flush: done => done() }
  if (parts[place] !== undefined) parts[place] = destroying(parts[place], destroys, destruction)
  const make = () => new Transform(parts)
  return place === 'filter' ? destroying(make, destroys, destruction) : make
}

/** The class of handlers with a method that destroys them. */
export function destroyingClass(Handler, options, destruction) {
  const { destroys } = options
  const { place } = destroys ?? {}
  if (place === undefined || !/^(?:handle|log)/.test(place)) return Handler
  const Destroying = class extends Handler {}
  Destroying.prototype[place] = destroying(Handler.prototype[place], destroys, destruction)
  return Destroying
}

/** What a handler that a program destroys has said, and what came of it. */
export class Destruction {
  /** Replies as they were said, and how many of them before the handler was destroyed; null: it was not. */
  said = []
  saidBefore = null
  /** Errors that it was destroyed with: how many, and how many the program was told of. */
  errors = 0
  reported = 0
  #handler = null

  /** `how` the client talks to it: the handler in memory has a listener for its errors. */
  watch(handler, how) {
    this.#handler = handler
    if (how === 'memory') handler.on('error', error => this.onError(error))
    this.listener = ({ session, reply }) => {
      if (session === handler.session) this.said.push(reply.toString())
    }
    diagnostics.subscribe('mailhandler:reply', this.listener)
  }

  onError(error) {
    if (error === this.error) this.reported += 1
  }

  stop() {
    if (this.listener !== undefined) diagnostics.unsubscribe('mailhandler:reply', this.listener)
  }

  get hasHappened() {
    return this.saidBefore !== null
  }

  destroy(fails) {
    if (this.#handler.destroyed) return this.#handler.destroy()
    this.saidBefore = this.said.length
    this.error = fails ? new Planned('destroyed') : undefined
    this.#handler.destroy(this.error)
  }

  /** Throws at what must not be: a reply behind the end, an error that nobody, or everybody, was told. */
  check(received) {
    const { said, saidBefore } = this
    if (said.length > saidBefore) throw new Error(`a reply after the handler was destroyed: ${said[saidBefore]}`)
    if (received.some((reply, i) => reply !== said[i])) throw new Error('the client got what was not said')
    if (this.error !== undefined && this.reported !== 1)
      throw new Error(`the error of destroy() was told ${this.reported} times`)
  }

  /** Checks; gives the model what the client did not get any more, and closes it. */
  conclude(model, received) {
    this.check(received)
    for (const reply of this.said.slice(received.length)) model.onReply(Number(reply.slice(0, 3)), reply)
    model.close()
  }
}
