// Runs a case of mails through a session whose delivery is the relay, over a socket, to a bent upstream.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import { contentOf } from './model/content.js'
import { open } from './connections.js'
import { destroying, destroyingFilter, Destruction, OF_FILTERS, Planned } from './destroy.js'
import { ReplyCutter } from './replies.js'
import { ended, isPositive, Seen, serve, strayCommand } from './upstream.js'

const LIMIT = 300
const PATIENCE = 8000

/** What is sent on a connection of its own after a handler was destroyed: the relay is as it was. */
const NEXT = { content: 'Subject: next\r\n\r\nThe next one.\r\n', recipients: 1, by: 'DATA', pieces: 1 }

/** Resolves with null, or what is wrong. */
export async function runRelay(lib, { mails, upstream, options, destroys = null }) {
  const seen = new Seen()
  const sockets = new Set()
  const server = createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    serve(socket, upstream, seen)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const timeouts = { open: 2 * LIMIT, command: LIMIT, data: LIMIT, block: LIMIT, end: LIMIT, quit: LIMIT }
  const relay = { host: '127.0.0.1', port: server.address().port, tls: { mode: 'never' }, timeouts }
  const delivery = lib.client.relay({ ...relay, lmtp: upstream.lmtp, name: 'r.example', clientInfo: 'none' })
  const session = { lib, options, delivery, destroys }
  try {
    const first = await runSession(session, mails, 0)
    if (first.problem !== null) return first.problem
    if (!first.isDestroyed) return judge(seen, mails, first.told, options)
    const problem = await expectFree(delivery)
    if (problem !== null) return problem
    const next = await runSession({ ...session, destroys: null }, [NEXT], mails.length)
    return next.problem ?? judge(seen, [...mails, NEXT], [...first.told, ...next.told], options)
  } finally {
    await delivery.close?.()
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

/** One session: what is wrong, what the client was told, and whether a program has destroyed the handler. */
async function runSession({ lib, options, delivery, destroys }, mails, number) {
  const { bareNewline, lmtp } = options
  const errors = []
  const destruction = new Destruction()
  const handler = {
    name: 'mx.example',
    bareNewline,
    lmtp,
    unlawfulPipelining: 'allow',
    // A refusal whose cause is the upstream's trouble is reported too.
    handleError(error) {
      destruction.onError(error)
      if (error.reply === undefined && !(error instanceof Planned)) errors.push(error)
    },
    ...placed(delivery, destroys, destruction),
  }
  const replies = []
  const cutter = new ReplyCutter((code, text) => replies.push({ code, text }))
  const onMade = made => void (destroys !== null && destruction.watch(made, 'memory'))
  const { connection, closed, stop } = await open(lib, 'memory', handler, octets => cutter.take(octets), { onMade })
  const client = new RelayedClient(connection, replies, options, number)
  const result = problem => ({ problem, told: client.told, isDestroyed: destruction.hasHappened })
  try {
    try {
      await client.run(mails)
    } catch (error) {
      if (!(error instanceof Ended && destruction.hasHappened)) throw error
    }
    connection.end()
    const late = new Promise((_, reject) => setTimeout(reject, PATIENCE, new Error('the session does not end')).unref())
    await Promise.race([closed, late])
    await turn()
    if (errors.length > 0) return result(`an error was reported: ${errors[0].stack}`)
    if (destruction.hasHappened) destruction.check(cutter.all)
    return result(null)
  } catch (error) {
    return result(`${error.message}\n${cutter.all.slice(-5).join('')}`)
  } finally {
    destruction.stop()
    connection.reset()
    await stop()
  }
}

const HOOKS = ['offer', 'onMailFrom', 'onRcptTo', 'onData', 'onMessage', 'onReset', 'onClose']

/** The delivery, one of whose hooks destroys the handler, or a filter that does. */
function placed(delivery, destroys, destruction) {
  if (destroys === null) return { delivery }
  if (OF_FILTERS.has(destroys.place)) return { delivery, filters: [destroyingFilter(destroys, destruction)] }
  const hooks = Object.fromEntries(HOOKS.map(name => [name, delivery[name]?.bind(delivery)]))
  hooks[destroys.place] = destroying(hooks[destroys.place], destroys, destruction)
  return { delivery: Object.fromEntries(Object.entries(hooks).filter(([, hook]) => hook !== undefined)) }
}

/** Waits until every connection to the upstream is given back or closed; says which is not. */
async function expectFree(delivery) {
  const stats = () => delivery.stats?.() ?? [] // a wrong one need not have it
  const isFree = () => stats().every(({ connections, kept, waiting }) => waiting === 0 && connections === kept)
  const until = performance.now() + PATIENCE
  while (!isFree() && performance.now() < until) await pause(1)
  return isFree() ? null : `a connection to the upstream is not given back: ${JSON.stringify(stats())}`
}

/** Says the mails; one step after the other, or in groups. */
class RelayedClient {
  #read = 0
  /** Each mail, with the codes of what was said to it. */
  told = []

  /** `number` is that of the first mail. */
  constructor(connection, replies, options, number) {
    this.connection = connection
    this.replies = replies
    this.options = options
    this.number = number
  }

  write(text) {
    this.connection.write(Buffer.from(text, 'latin1'))
  }

  async codes(count) {
    const until = performance.now() + PATIENCE
    while (this.replies.length < this.#read + count) {
      if (this.connection.isEnded) throw new Ended('the session ended')
      if (performance.now() > until) throw new Error('a reply is missing')
      await this.connection.change(1000)
    }
    const codes = this.replies.slice(this.#read, this.#read + count).map(({ code }) => code)
    this.#read += count
    return codes
  }

  async run(mails) {
    await this.codes(1)
    this.write(`${this.options.lmtp ? 'LHLO' : 'EHLO'} c.example\r\n`)
    await this.codes(1)
    for (const [at, mail] of mails.entries()) {
      const i = this.number + at
      this.told.push({ i, mail, ...(await this.send(mail, i)) })
    }
    this.write('QUIT\r\n')
    await this.codes(1)
    if (this.replies.length !== this.#read) throw new Error('a reply too many')
  }

  async send(mail, i) {
    const lines = [`MAIL FROM:<a@a.example>\r\n`]
    const recipients = Array.from({ length: mail.recipients }, (_, j) => `${i}.${j}@b.example`)
    for (const recipient of recipients) lines.push(`RCPT TO:<${recipient}>\r\n`)
    let codes = []
    if (this.options.pipelining) {
      this.write(lines.join(''))
      codes = await this.codes(lines.length)
    } else {
      for (const line of lines) {
        this.write(line)
        codes.push(...(await this.codes(1)))
      }
    }
    const accepted = isPositive(codes[0]) ? recipients.filter((_, j) => isPositive(codes[j + 1])) : []
    const verdicts = this.options.lmtp ? accepted.length : 1
    const by = mail.by === 'BDAT' ? 'bdat' : 'data'
    const result = await this[by](mail, accepted.length, verdicts)
    this.write('RSET\r\n')
    await this.codes(1)
    return { codes: result, accepted }
  }

  async data({ content }, accepted, verdicts) {
    this.write('DATA\r\n')
    const [code] = await this.codes(1)
    if (code !== 354) return [code]
    if (accepted === 0) throw new Error('354 without a recipient')
    const stuffed = content.replaceAll(/(^|\r\n)\./g, '$1..')
    this.write(stuffed + (stuffed === '' || stuffed.endsWith('\r\n') ? '.\r\n' : '\r\n.\r\n'))
    return this.codes(verdicts)
  }

  async bdat({ content, pieces }, accepted, verdicts) {
    const size = Math.max(1, Math.ceil(content.length / pieces))
    let codes = []
    for (let at = 0; at === 0 || at < content.length; at += size) {
      const piece = content.slice(at, at + size)
      const isLast = at + size >= content.length
      this.write(`BDAT ${piece.length}${isLast ? ' LAST' : ''}\r\n${piece}`)
      codes = await this.codes(isLast && accepted > 0 ? verdicts : 1)
      if (accepted === 0 || (!isLast && !isPositive(codes[0]))) return codes
    }
    return codes
  }
}

class Ended extends Error {}

/** What the client sent, as the session hands it on. */
function handedOn({ content, by }, { bareNewline }) {
  const mode = bareNewline === 'allow' ? 'normalize' : bareNewline
  const text = by === 'DATA' && content !== '' && !content.endsWith('\r\n') ? `${content}\r\n` : content
  const wire = by === 'DATA' ? text.replaceAll(/(^|\r\n)\./g, '$1..') : text
  return contentOf(wire, { counted: by === 'BDAT', bareNewline: mode })
}

function judge(seen, mails, told, options) {
  const known = new Set(mails.flatMap(mail => [handedOn(mail, options), ended(handedOn(mail, options))]))
  const stray = strayCommand(seen)
  if (stray !== undefined) return `the upstream read a command: ${JSON.stringify(stray)}`
  for (const { content } of seen.messages) {
    if (!known.has(content)) return `the upstream has what was not sent: ${JSON.stringify(content)}`
  }
  const copies = mails.map(() => [])
  for (const { content, recipients } of seen.messages) {
    const owners = new Set(recipients.map(recipient => Number.parseInt(recipient, 10)))
    if (owners.size > 1) return `the upstream has two envelopes in one: ${recipients}`
    for (const i of owners) {
      if (![handedOn(mails[i], options), ended(handedOn(mails[i], options))].includes(content))
        return `the upstream has a message for the recipients of another: ${recipients}`
      copies[i].push(recipients)
      if (copies[i].length > 1) return `sent once, and the upstream has it twice: ${JSON.stringify(content)}`
    }
  }
  const left = [...seen.messages]
  for (const { i, mail, codes, accepted } of told) {
    const worst = Math.max(...codes)
    if (worst >= 500 && isBlameless(seen, mail, codes))
      return `refused for good, though the upstream never did: ${codes}`
    if (!codes.some(isPositive)) continue
    const content = handedOn(mail, options)
    const at = left.findIndex(each => [content, ended(content)].includes(each.content) && each.codes.some(isPositive))
    if (at === -1) return `acknowledged, and the upstream did not take it: ${JSON.stringify(content)}`
    left.splice(at, 1)
    const missing = accepted.find(
      (recipient, j) => isPositive(codes.at(j) ?? codes[0]) && !copies[i][0]?.includes(recipient),
    )
    if (missing !== undefined) return `acknowledged, but not sent to ${missing}`
  }
  return null
}

/** Nothing but an upstream's own 5yz, or a fault of the message, is for good. [R2] */
function isBlameless(seen, { content }, codes) {
  const said5yz = [...seen.codes].some(code => code >= 500)
  const isClean = !/\r(?!\n)|(?<!\r)\n|[\x80-\xff]/.test(content) // oxlint-disable-line no-control-regex
  return !said5yz && isClean && !codes.includes(503) && !codes.includes(554)
}
