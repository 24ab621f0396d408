// What a sender does on a connection: deliver a message, cut one off, send a flood of RCPT.

import { setTimeout as pause } from 'node:timers/promises'
import { makeMessage, stuffed } from './message.js'
import { Lost } from './session.js'

const KiB = 1024
const SLOW_PIECES = 30

/** The greeting and EHLO, once a connection; what the server offers. */
async function open(session) {
  if (session.offer !== undefined) return session.offer
  const greeting = await session.reply()
  if (greeting.code !== 220) throw new Refused(greeting)
  const reply = await session.command('EHLO sender.example')
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

/**
 * Tries to deliver a message. Resolves with what became of it: `outcome`, `recipients`, `endSent`, and the code and text
 * of the reply that counted.
 */
export async function deliver(session, message, random) {
  const result = { outcome: 'unfinished', recipients: message.recipients, endSent: false }
  try {
    const offer = await open(session)
    if (random.chance(0.15)) await prelude(session, random)
    await envelope(session, message, offer, random)
    const data = makeMessage(message.id, message.size)
    result.by = offer.has('CHUNKING') && random.chance(0.5) ? 'BDAT' : 'DATA'
    const send = result.by === 'BDAT' ? sendByBdat : sendByData
    const reply = await send(session, data, result, random)
    Object.assign(result, {
      outcome: reply.code === 250 ? 'acknowledged' : 'refused',
      code: reply.code,
      text: reply.text,
    })
    if (reply.code === 421) session.leave()
    else if (reply.code !== 250) await session.command('RSET').catch(() => {})
  } catch (error) {
    if (error instanceof Refused) {
      const { code, text } = error.reply
      Object.assign(result, { outcome: 'refused', code, text })
      // Two replies may still come: the next message is for another connection.
      session.leave()
    } else if (error instanceof Lost) {
      Object.assign(result, { outcome: result.endSent ? 'lost' : 'unfinished', text: error.message })
    } else throw error
  }
  return result
}

/** A transaction that is given up with RSET. */
async function prelude(session, random) {
  await session.command('MAIL FROM:<given-up@sender.example>')
  for (let i = random.whole(0, 3); i > 0; i--) await session.command(`RCPT TO:<user${i}@soak.example>`)
  const reply = await session.command('RSET')
  if (reply.code !== 250) throw new Refused(reply)
}

async function envelope(session, { id, attempt, recipients }, offer, random) {
  const body = offer.has('8BITMIME') ? ' BODY=8BITMIME' : ''
  const lines = [`MAIL FROM:<${id}+${attempt}@sender.example>${body}`, ...recipients.map(to => `RCPT TO:<${to}>`)]
  const replies = []
  if (offer.has('PIPELINING') && random.chance(0.5)) replies.push(...(await session.pipeline(lines)))
  else for (const line of lines) replies.push(await session.command(line))
  const refusal = replies.find(({ code }) => code !== 250)
  if (refusal !== undefined) throw new Refused(refusal)
}

async function sendByData(session, data, result, random) {
  const reply = await session.command('DATA')
  if (reply.code !== 354) throw new Refused(reply)
  const all = stuffed(data)
  const slow = all.length < 64 * KiB && random.chance(0.1)
  const piece = slow ? Math.ceil(all.length / SLOW_PIECES) : random.whole(1, 256) * KiB
  for (let i = 0; i < all.length; i += piece) {
    if (i + piece >= all.length) result.endSent = true
    await session.write(all.subarray(i, i + piece))
    if (slow) await pause(random.whole(10, 50))
  }
  return verdict(session, result, random)
}

async function sendByBdat(session, data, result, random) {
  const size = random.whole(1, 300) * KiB
  for (let i = 0; i < data.length; i += size) {
    const chunk = data.subarray(i, i + size)
    const isLast = i + size >= data.length
    if (isLast) result.endSent = true
    await session.write(Buffer.concat([Buffer.from(`BDAT ${chunk.length}${isLast ? ' LAST' : ''}\r\n`), chunk]))
    if (isLast) return verdict(session, result, random)
    const reply = await session.reply()
    if (reply.code !== 250) return reply
  }
}

/** The reply to the message. A few senders do not wait for it. */
function verdict(session, result, random) {
  if (random.chance(0.02)) {
    result.reset = true
    session.reset()
  }
  return session.reply()
}

/** Begins a message, and leaves before its end: by a close, or by an RST. */
export async function cutOff(session, message, random) {
  try {
    const offer = await open(session)
    await envelope(session, { ...message, attempt: 1 }, offer, random)
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
    await open(session)
    await session.command('MAIL FROM:<flood@sender.example>')
    if (random.chance(0.5)) await session.pipeline(lines)
    else for (const line of lines) await session.command(line)
  } catch (error) {
    if (!(error instanceof Lost) && !(error instanceof Refused)) throw error
  }
  clearTimeout(timer)
  session.leave()
}
