// What a sender does on a connection: deliver a message, cut one off, send a flood of RCPT.

import { setTimeout as pause } from 'node:timers/promises'
import { heloOf, makeMessage, stuffed } from './message.js'
import { Lost } from './session.js'

const KiB = 1024
const SLOW_PIECES = 30

/** The greeting once a connection, and EHLO or LHLO, which also ends a transaction. Resolves with what the server offers. */
async function open(session, helo) {
  if (!session.isGreeted) {
    const greeting = await session.reply()
    if (greeting.code !== 220) throw new Refused(greeting)
    session.isGreeted = true
  }
  const reply = await session.command(`${session.protocol === 'LMTP' ? 'LHLO' : 'EHLO'} ${helo}`)
  if (reply.code !== 250) throw new Refused(reply)
  session.offer = new Set(
    reply.text
      .split('\n')
      .slice(1)
      .map(line => line.slice(4).split(' ')[0]),
  )
  return session.offer
}

class Refused extends Error {
  constructor(reply) {
    super(reply.text)
    this.reply = reply
  }
}

/** What is noted for each recipient. */
class Verdicts {
  #verdicts

  constructor(recipients) {
    this.#verdicts = new Map(recipients.map(recipient => [recipient, null]))
  }

  /** The recipients that have none yet. */
  get open() {
    return [...this.#verdicts.keys()].filter(recipient => this.#verdicts.get(recipient) === null)
  }

  get list() {
    return [...this.#verdicts].map(([recipient, verdict]) => ({ recipient, ...verdict }))
  }

  reply({ code, text }, step, recipients = this.open) {
    const outcome = step === 'end' && code === 250 ? 'acknowledged' : 'refused'
    for (const recipient of recipients) this.#verdicts.set(recipient, { outcome, step, code, text })
  }

  lose(outcome, text) {
    for (const recipient of this.open) this.#verdicts.set(recipient, { outcome, text })
  }
}

/** Tries to deliver a message to the recipients that are left. Resolves with an attempt; accountant.js has its form. */
export async function deliver(session, message, random) {
  const { id, attempt, left } = message
  const verdicts = new Verdicts(left)
  const result = { id, attempt, protocol: session.protocol, endSent: false }
  try {
    const offer = await open(session, heloOf(id, attempt))
    if (random.chance(0.15)) await prelude(session, random)
    const { mail, rcpts } = await envelope(session, id, left, random)
    if (mail.code !== 250) verdicts.reply(mail, 'other')
    for (const [i, rcpt] of rcpts.entries()) if (rcpt.code !== 250) verdicts.reply(rcpt, 'rcpt', [left[i]])
    if (verdicts.open.length > 0) {
      const data = makeMessage(id, message.size)
      result.by = offer.has('CHUNKING') && random.chance(0.5) ? 'BDAT' : 'DATA'
      const send = result.by === 'BDAT' ? sendByBdat : sendByData
      const refusal = await send(session, data, result, random)
      if (refusal !== null) verdicts.reply(refusal, 'other')
      else await takeVerdicts(session, verdicts, result, random)
    }
  } catch (error) {
    if (error instanceof Refused) {
      verdicts.reply(error.reply, 'other')
      // Two replies may still come: the next message is for another connection.
      session.leave()
    } else if (error instanceof Lost) verdicts.lose(result.endSent ? 'lost' : 'unfinished', error.message)
    else throw error
  }
  const { list } = verdicts
  if (list.some(({ code }) => code === 421)) session.leave()
  return { ...result, at: Date.now(), verdicts: list }
}

/** A transaction that is given up with RSET. */
async function prelude(session, random) {
  await session.command('MAIL FROM:<given-up@sender.example>')
  for (let i = random.whole(0, 3); i > 0; i--) await session.command(`RCPT TO:<user${i}@soak.example>`)
  const reply = await session.command('RSET')
  if (reply.code !== 250) throw new Refused(reply)
}

/** Resolves with the replies to MAIL and to each RCPT; there are none behind a refusal of MAIL. */
async function envelope(session, id, recipients, random) {
  const body = session.offer.has('8BITMIME') ? ' BODY=8BITMIME' : ''
  const mailLine = `MAIL FROM:<${id}@sender.example>${body}`
  const lines = recipients.map(to => `RCPT TO:<${to}>`)
  if (session.offer.has('PIPELINING') && random.chance(0.5)) {
    const [mail, ...rcpts] = await session.pipeline([mailLine, ...lines])
    return { mail, rcpts: mail.code === 250 ? rcpts : [] }
  }
  const mail = await session.command(mailLine)
  const rcpts = []
  if (mail.code === 250) for (const line of lines) rcpts.push(await session.command(line))
  return { mail, rcpts }
}

/** Resolves with the reply that refuses the mail data; null if the verdicts come. */
async function sendByData(session, data, result, random) {
  const reply = await session.command('DATA')
  if (reply.code !== 354) return reply
  const all = stuffed(data)
  const slow = all.length < 64 * KiB && random.chance(0.1)
  const piece = slow ? Math.ceil(all.length / SLOW_PIECES) : random.whole(1, 256) * KiB
  for (let i = 0; i < all.length; i += piece) {
    if (i + piece >= all.length) result.endSent = true
    await session.write(all.subarray(i, i + piece))
    if (slow) await pause(random.whole(10, 50))
  }
  return null
}

async function sendByBdat(session, data, result, random) {
  const size = random.whole(1, 300) * KiB
  for (let i = 0; i < data.length; i += size) {
    const chunk = data.subarray(i, i + size)
    const isLast = i + size >= data.length
    if (isLast) result.endSent = true
    await session.write(Buffer.concat([Buffer.from(`BDAT ${chunk.length}${isLast ? ' LAST' : ''}\r\n`), chunk]))
    if (isLast) break
    const reply = await session.reply()
    if (reply.code !== 250) return reply
  }
  return null
}

/** The reply to the message; by LMTP one for each recipient. A few senders do not wait for it. */
async function takeVerdicts(session, verdicts, result, random) {
  const { open: waiting } = verdicts
  for (const recipients of session.protocol === 'LMTP' ? waiting.map(each => [each]) : [waiting]) {
    if (random.chance(0.02)) {
      result.reset = true
      session.reset()
    }
    verdicts.reply(await session.reply(), 'end', recipients)
  }
}

/** Begins a message, and leaves before its end: by a close, or by an RST. */
export async function cutOff(session, message, random) {
  try {
    const offer = await open(session, heloOf(message.id, 1))
    await envelope(session, message.id, message.recipients, random)
    const data = makeMessage(message.id, message.size)
    if (offer.has('CHUNKING') && random.chance(0.5)) {
      // All octets, but LAST is never said; or fewer octets than announced.
      const whole = random.chance(0.5)
      await session.write(`BDAT ${data.length}${whole ? '' : ' LAST'}\r\n`)
      await session.write(whole ? data : data.subarray(0, random.whole(0, data.length - 1)))
    } else {
      const reply = await session.command('DATA')
      if (reply.code !== 354) throw new Refused(reply)
      const all = stuffed(data)
      await session.write(all.subarray(0, random.whole(0, all.length - 4)))
    }
  } catch (error) {
    if (!(error instanceof Lost) && !(error instanceof Refused)) throw error
  }
  if (random.chance(0.5)) session.reset()
  else session.leave()
}

/** Many recipients, some of them unknown, in one write or one by one. */
export async function flood(session, random) {
  const names = ['user', 'nobody']
  const lines = Array.from({ length: random.whole(20, 200) }, (_, i) => {
    const domain = random.chance(0.1) ? 'elsewhere.example' : 'soak.example'
    return `RCPT TO:<${names[random.chance(0.1) ? 1 : 0]}${i}@${domain}>`
  })
  // Refused commands are answered slowly, so a flood would take minutes.
  const timer = setTimeout(() => session.leave(), random.whole(500, 3000))
  try {
    await open(session, '[198.18.0.1]')
    await session.command('MAIL FROM:<flood@sender.example>')
    if (random.chance(0.5)) await session.pipeline(lines)
    else for (const line of lines) await session.command(line)
  } catch (error) {
    if (!(error instanceof Lost) && !(error instanceof Refused)) throw error
  }
  clearTimeout(timer)
  session.leave()
}
