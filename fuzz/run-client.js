// Runs a case of mails through an SmtpClient, in memory, to a bent upstream.

import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { looksLikeTwo } from './model/content.js'
import { destroyingClass, destroyingFilter, Destruction, OF_FILTERS, Planned, destroying } from './destroy.js'
import { ended, isPositive, Seen, serve, strayCommand } from './upstream.js'

const LIMIT = 300
const PATIENCE = 8000
/** Turns of the event loop: more than the longest reply in single octets. */
const TURNS = 10_000
const TIMEOUTS = { open: LIMIT, greeting: LIMIT, command: LIMIT, data: LIMIT, block: LIMIT, end: LIMIT, quit: LIMIT }

/** Resolves with null, or what is wrong. */
export async function runClient(lib, { mails, upstream, options, destroys = null }) {
  const seen = new Seen()
  const [near, far] = lib.duplexPair()
  for (const stream of [near, far]) stream.on('error', () => {})
  const server = (upstream.own ?? null) === null ? null : new OwnServer(lib, far, upstream, seen)
  if (server === null) serve(far, upstream, seen)
  const client = new lib.client.SmtpClient({
    name: 'c.example',
    lmtp: upstream.lmtp,
    tls: { mode: 'never' },
    pipelining: options.pipelining,
    timeouts: TIMEOUTS,
  })
  near.pipe(client).pipe(near)
  const program = new Program(lib, client, destroys)
  const all = []
  const sent = {
    push(promise) {
      promise.then(
        () => program.at('settled'),
        error => program.rejected(error),
      )
      all.push(promise)
      program.at('command')
    },
  }
  const told = []
  for (const [i, mail] of mails.entries()) {
    sent.push(client.mail('a@a.example'))
    const accepted = []
    for (let j = 0; j < mail.recipients; j++) {
      const recipient = `${i}.${j}@b.example`
      sent.push(client.rcpt(recipient).then(({ code }) => isPositive(code) && accepted.push(recipient)))
    }
    const source = sourceOf(mail, () => program.at('source'))
    const onReply = () => program.at('reply')
    const message = mail.by === 'DATA' ? client.data(source, { onReply }) : client.bdat(source, { onReply })
    const result = message.then(replies => told.push({ mail, replies, accepted }))
    sent.push(result)
    if (!(await inTime(result.catch(() => {})))) return `a promise does not settle: ${JSON.stringify(mail)}`
    if (mail.by === 'BDAT') sent.push(client.rset())
  }
  sent.push(client.quit())
  const isSettled = await inTime(Promise.allSettled(all))
  for (let i = 0; i < TURNS && program.isClosing(near); i++) await turn()
  program.conclude(near)
  client.destroy()
  near.destroy()
  far.destroy()
  await turn()
  const problem = program.problem ?? (await server?.conclude()) ?? null
  return isSettled ? (problem ?? judge(seen, mails, told)) : 'a promise does not settle'
}

/** A server of this library, whose program may destroy the handler. */
class OwnServer {
  #errors = []
  #closes = 0
  #destruction = new Destruction()

  constructor(lib, far, { lmtp, extensions, own: { destroys } }, seen) {
    const destruction = this.#destruction
    const hooks = {
      onMessage: (message, { envelope }) => take(message, envelope, seen),
      onClose: () => void (this.#closes += 1),
    }
    const { place = '' } = destroys ?? {}
    if (place.startsWith('on')) hooks[place] = destroying(hooks[place], destroys, destruction)
    if (place === 'offer') hooks.offer = destroying((_session, offer) => offer, destroys, destruction)
    const Handler = destroyingClass(lib.SmtpHandler, { destroys }, destruction)
    const { onConnect, onSecure, onHelo, onAuth, ...delivery } = hooks
    this.handler = new Handler({
      name: 'mx.example',
      lmtp,
      extensions: { PIPELINING: extensions.includes('PIPELINING'), CHUNKING: extensions.includes('CHUNKING') },
      ...(OF_FILTERS.has(place) && { filters: [destroyingFilter(destroys, destruction)] }),
      ...Object.fromEntries(Object.entries({ onConnect, onSecure, onHelo, onAuth }).filter(([, hook]) => hook)),
      delivery,
      handleError: error => {
        destruction.onError(error)
        if (!(error instanceof Planned)) this.#errors.push(error)
      },
    })
    destruction.watch(this.handler, 'pair')
    far.pipe(this.handler).pipe(far)
  }

  /** The connection is closed; resolves with what is wrong, or null. */
  async conclude() {
    const destruction = this.#destruction
    for (let i = 0; i < TURNS && !this.handler.closed; i++) await turn()
    await turn()
    destruction.stop()
    if (!this.handler.closed) return 'the handler does not close'
    if (this.#closes !== 1) return `onClose was called ${this.#closes} times`
    if (this.#errors.length > 0) return `an error was reported: ${this.#errors[0].stack}`
    try {
      if (destruction.hasHappened) destruction.check([])
    } catch (error) {
      return error.message
    }
    return null
  }
}

async function take(message, { recipients }, seen) {
  let content = ''
  for await (const chunk of message) content += chunk.toString('latin1')
  seen.messages.push({
    content,
    recipients: recipients.map(({ address }) => address),
    codes: recipients.map(() => 250),
  })
}

/** A program that may destroy its client, and what must not come of it. */
class Program {
  problem = null
  #calls = 0
  #isDestroyed = false
  #closes = 0
  #errors = []

  constructor({ client: { SmtpClientError } }, client, destroys) {
    this.isOwn = error => error instanceof SmtpClientError
    this.client = client
    this.destroys = destroys
    client.on('close', () => void (this.#closes += 1))
    client.on('error', error => this.#errors.push(error))
  }

  /** Destroys the client if this is the place and the call. */
  at(place) {
    const { destroys, client } = this
    if (destroys?.place !== place || ++this.#calls !== destroys.call || client.destroyed) return
    this.#isDestroyed = true
    client.destroy(destroys.fails ? new Error('destroyed') : undefined)
  }

  rejected(error) {
    if (!this.isOwn(error)) this.problem ??= `a promise rejects with what is no SmtpClientError: ${error?.stack}`
    this.at('settled')
  }

  /** The end of a client that was destroyed takes a few turns. */
  isClosing(near) {
    return this.#isDestroyed && !(this.#closes > 0 && near.destroyed)
  }

  /** All promises have settled; `near` is the client's end of the connection. */
  conclude(near) {
    if (!this.#isDestroyed) return
    if (this.#closes !== 1) this.problem ??= `the client was closed ${this.#closes} times`
    if (this.#errors.length !== (this.destroys.fails ? 1 : 0))
      this.problem ??= `${this.#errors.length} errors were told: ${this.#errors[0]?.stack}`
    if (!near.destroyed) this.problem ??= 'the connection of a destroyed client stays open'
  }
}

/** True if it settles before the patience is over. */
async function inTime(promise) {
  let timer
  const late = new Promise(resolve => (timer = setTimeout(resolve, PATIENCE, false)))
  const result = await Promise.race([promise.then(() => true), late])
  clearTimeout(timer)
  return result
}

/** Mail data in pieces; a broken one fails before its end. */
function sourceOf({ content, pieces, isBroken }, onPiece) {
  const octets = Buffer.from(content, 'latin1')
  const size = Math.max(1, Math.ceil(octets.length / pieces))
  return Readable.from(
    (async function* () {
      for (let at = 0; at < octets.length; at += size) {
        onPiece()
        yield octets.subarray(at, at + size)
        if (at % 2 === 1) await turn()
      }
      if (isBroken) throw new Error('the source fails')
    })(),
  )
}

/** What the upstream believes, and what the client was told, against what was given to it. */
function judge(seen, mails, told) {
  const known = new Set(mails.filter(({ isBroken }) => !isBroken).flatMap(({ content }) => [content, ended(content)]))
  const stray = strayCommand(seen)
  if (stray !== undefined) return `the upstream read a command: ${JSON.stringify(stray)}`
  for (const { content } of seen.messages) {
    if (!known.has(content)) return `the upstream has what was not sent: ${JSON.stringify(content)}`
    if (looksLikeTwo(content) && /[^\r]\n|\r[^\n]/.test(content))
      return `a bare CR or LF left: ${JSON.stringify(content)}`
  }
  const left = [...seen.messages]
  for (const { mail, replies } of told) {
    if (!replies.some(({ code }) => isPositive(code))) continue
    const at = left.findIndex(
      ({ content, codes }) => [mail.content, ended(mail.content)].includes(content) && codes.some(isPositive),
    )
    if (at === -1) return `acknowledged, and the upstream did not take it: ${JSON.stringify(mail.content)}`
    left.splice(at, 1)
  }
  return null
}
