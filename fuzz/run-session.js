// Runs a case of a session, at several chunkings, and compares it with the model.

import { setImmediate as turn } from 'node:timers/promises'
import { Random } from '../scripts/soak/random.js'
import { open } from './connections.js'
import { destroyingClass } from './destroy.js'
import { handlerOptions, Record } from './hooks.js'
import { looksLikeTwo, unstuffed } from './model/content.js'
import { SessionModel } from './model/session.js'
import { TAKERS } from './moods.js'
import { ReplyCutter } from './replies.js'

/** Milliseconds after which a reply that is due is missing. */
const PATIENCE = 5000

/** Runs a case; resolves with null, or what went wrong. Without a model it only compares the chunkings. */
export async function runSession(lib, given, { how = 'memory', tls, chunkings = [0, 1, 2], oracle = 'model' } = {}) {
  let first = null
  for (const chunking of chunkings) {
    const played = await (oracle === 'model' ? play : playBlind)(lib, given, how, tls, chunking).catch(error => ({
      problem: error.stack,
    }))
    if (played.problem !== null) return `chunking ${chunking}: ${played.problem}`
    if (played.seen === null) continue
    first ??= played.seen
    if (played.seen !== first) return `chunking ${chunking} differs:\n${difference(first, played.seen)}`
  }
  return null
}

function difference(a, b) {
  const [left, right] = [a.split('\n'), b.split('\n')]
  const at = left.findIndex((line, i) => line !== right[i])
  return `  ${left[at]}\n  ${right[at]}`
}

async function play(lib, { options, groups, end, proxy = null }, how, tls, chunking) {
  const record = new Record()
  const random = new Random(chunking * 7919 + groups.length)
  const model = new SessionModel(options)
  let wrong = null
  let begun = ''
  const cutter = new ReplyCutter((code, reply) => model.onReply(code, reply))
  const onData = octets => {
    try {
      if (wrong === null) cutter.take(octets)
    } catch (error) {
      wrong = error
    }
  }
  const { destruction } = record
  const { connection, closed, stop } = await open(lib, how, handlerOptions(options, lib, record, tls), onData, {
    proxy: proxy !== null,
    ...watched(lib, options, record, how),
  })
  const due = () => wrong === null && model.isDue && !connection.isEnded
  const wait = async what => {
    while (due()) {
      const before = cutter.all.length
      await connection.change(PATIENCE)
      if (due() && cutter.all.length === before) throw new Error(`hangs: no reply to ${what}`)
    }
    if (wrong !== null) throw wrong
  }
  try {
    if (proxy !== null) {
      await write(connection, Buffer.from(proxy.header, 'latin1'), chunking, random, options)
      if (!proxy.isGood) return await expectNothing(connection, cutter)
    }
    await wait('the connection')
    for (const group of groups) {
      if (model.isClosed || connection.isEnded) break
      const text = group.join('')
      model.feed(text)
      await write(connection, Buffer.from(text, 'latin1'), chunking, random, options, begun)
      begun = (begun + text).slice((begun + text).lastIndexOf('\n') + 1)
      await wait(JSON.stringify(text.slice(0, 80)))
      if (model.wantsTls) {
        model.wantsTls = false
        await connection.startTls()
        model.tls = true
      }
      await turn()
    }
    await finish({ model, connection, closed, end, record, cutter, wrong: () => wrong })
    checkMessages(model, record, options)
    return { problem: null, seen: seen(cutter, record) }
  } catch (error) {
    return { problem: `${error.message}\n${tail(cutter)}` }
  } finally {
    destruction.stop()
    await stop()
  }
}

/** For open(): the class of the handler, and who looks at it, if the program destroys it. */
function watched(lib, options, record, how) {
  if ((options.destroys ?? null) === null) return {}
  return {
    handlers: destroyingClass(lib.SmtpHandler, options, record.destruction),
    onMade: handler => record.destruction.watch(handler, how),
  }
}

/** A header that is wrong ends the connection; nothing is said. */
async function expectNothing(connection, cutter) {
  const until = performance.now() + PATIENCE
  while (!connection.isEnded && performance.now() < until) await connection.change(PATIENCE)
  if (!connection.isEnded) throw new Error('a wrong PROXY header does not end the connection')
  if (cutter.all.length > 0 || cutter.rest !== '') throw new Error('a reply after a wrong PROXY header')
  return { problem: null, seen: '' }
}

/** Sends all without waiting for a reply; only what came of it is looked at. */
async function playBlind(lib, { options, groups }, how, tls, chunking) {
  const record = new Record()
  const random = new Random(chunking * 7919 + groups.length)
  const cutter = new ReplyCutter(() => {})
  const allowed = { ...options, unlawfulPipelining: 'allow', tls: null }
  const taken = handlerOptions(allowed, lib, record, tls)
  const { connection, closed, stop } = await open(lib, how, taken, octets => cutter.take(octets), {
    ...watched(lib, options, record, how),
  })
  await write(connection, Buffer.from(groups.flat().join(''), 'latin1'), chunking, random, allowed)
  connection.end()
  const timer = setTimeout(() => connection.reset(), PATIENCE)
  await closed
  while (!connection.isEnded) await connection.change(PATIENCE)
  clearTimeout(timer)
  record.destruction.stop()
  await stop()
  return { problem: null, seen: seen(cutter, record) }
}

function tail(cutter) {
  return cutter.all.slice(-6).map(reply => `  S: ${reply.trimEnd()}`).join('\n') // prettier-ignore
}

/** What has to be the same at every chunking; null for a session that its program has cut short. */
function seen(cutter, record) {
  if (record.destruction.hasHappened) return null
  const replies = cutter.all.map(reply => reply.replace(/(?<=FUTURERELEASE ).*/, ''))
  const messages = record.messages.map(({ content, failed: _, isRaw: __, ...rest }) => ({
    ...rest,
    content: rest.ended ? content : null,
  }))
  return [...replies.map(reply => JSON.stringify(reply)), ...messages.map(each => JSON.stringify(each))].join('\n')
}

/** Octets of the commands behind which a server looks whether more has come; a cut there would be a lawful pause. */
const STARTTLS = /STARTTLS[ \t\r]*\n$/i
const LOOKS = /(?:DATA[ \t\r]*|(?:EHLO|HELO|LHLO|AUTH|STARTTLS)[^\n]*)\n$/i

/** Cuts and writes a group; `begun` is what of a line the group before has left. */
async function write(connection, octets, chunking, random, { unlawfulPipelining }, begun = '') {
  const text = octets.toString('latin1')
  const isPause = at => {
    if (text[at - 1] !== '\n') return false
    const start = at < 2 ? 0 : text.lastIndexOf('\n', at - 2) + 1
    const line = (start === 0 ? begun : '') + text.slice(start, at)
    return (unlawfulPipelining === 'refuse' ? LOOKS : STARTTLS).test(line)
  }
  let at = 0
  while (at < octets.length) {
    let next = chunking === 0 ? octets.length : at + (chunking === 1 ? 1 : random.whole(1, 40))
    next = Math.min(next, octets.length)
    while (next < octets.length && isPause(next)) next += 1
    connection.write(octets.subarray(at, next))
    at = next
    if (chunking === 1 ? random.chance(0.2) : random.chance(0.5)) await turn()
  }
}

async function finish({ model, connection, closed, end, record, cutter, wrong }) {
  if (
    !model.isClosed &&
    end === 'quit' &&
    model.mode === 'command' &&
    model.chunk === null &&
    model.input === '' &&
    !model.isSkipping
  ) {
    model.feed('QUIT\r\n')
    connection.write(Buffer.from('QUIT\r\n'))
  }
  const mayEnd = model.isClosed || end !== 'reset'
  if (mayEnd) connection.end()
  else connection.reset()
  if (!model.isClosed && !model.isDue) model.close()
  const timer = setTimeout(() => connection.reset(), PATIENCE)
  const isLate = await Promise.race([
    closed.then(() => false),
    new Promise(resolve => setTimeout(resolve, PATIENCE, true).unref()),
  ])
  clearTimeout(timer)
  if (isLate) throw new Error('hangs: the session does not end')
  for (let i = 0; i < 5; i++) await turn()
  if (wrong() !== null) throw wrong()
  const { destruction } = record
  if (destruction.hasHappened) {
    if (!connection.isEnded) await connection.change(PATIENCE)
    if (!connection.isEnded) throw new Error('hangs: the connection of a destroyed handler stays open')
    destruction.conclude(model, cutter.all)
  }
  if (model.isDue) throw new Error('the end, and a reply is missing')
  if (record.closed !== 1) throw new Error(`onClose was called ${record.closed} times`)
  if (record.errors.length > 0) throw new Error(`an error was reported: ${record.errors[0].stack}`)
}

const READERS = new Set([
  'read',
  'readlater',
  'raw',
  'flow',
  'readrefuse',
  'readthrow',
  'gone',
  'gonelater',
  'goneread',
])
/** The handler is destroyed before the first octet. */
const NEVER_WHOLE = new Set(['gone', 'gonebad'])

/** What was accepted is what was sent, and what was not sent whole was not taken for whole. */
function checkMessages(model, record, options) {
  const sent = model.messages.filter(({ codes, started }) => codes !== null || started !== undefined)
  const whole = sent.filter(({ codes }) => codes !== null)
  for (const message of whole) {
    const got = record.messages.find(each => !each.isChecked && isSame(each, message))
    const accepted = message.codes.some(code => code < 400)
    if (got === undefined) {
      if (accepted) throw new Error(`a message was accepted that nobody was given: ${JSON.stringify(message.sender)}`)
      continue
    }
    if (accepted && TAKERS[got.mood].leaves !== true) compare(got, message, options)
    if (!accepted && got.ended && isRefusedByUs(message)) throw new Error(`a refused message ended well: ${got.sender}`)
    if (got.ended) got.isChecked = true
    if (got.isRaw && message.rules.bareNewline !== 'allow' && looksLikeTwo(got.content)) {
      throw new Error(`a naive upstream could take this for two: ${JSON.stringify(got.content)}`)
    }
  }
  for (const got of record.messages) {
    if (got.ended && NEVER_WHOLE.has(got.mood))
      throw new Error(`whole, though the handler was destroyed: ${got.sender}`)
    if (got.ended && !got.isChecked)
      throw new Error(`a message ended that the client did not end: ${JSON.stringify(got)}`)
    if (!got.ended && !got.failed && READERS.has(got.mood)) throw new Error(`a reader waits for ever: ${got.sender}`)
    if (!got.ended) checkPrefix(got, model, options)
    delete got.isChecked
  }
}

/** An address that only a lenient server takes is not known to the model. */
function isSame(got, message) {
  const { sender, recipients, mood } = message
  const isOne = (address, known) => known === null || address === known
  if (got.mood !== mood || !isOne(got.sender, sender) || got.recipients.length !== recipients.length) return false
  return got.recipients.every((address, i) => isOne(address, recipients[i]))
}

function isRefusedByUs({ mood, codes }) {
  return (mood === 'read' || mood === 'raw' || mood === 'flow') && codes[0] >= 500
}

function contentOf(got) {
  return got.isRaw ? unstuffed(got.content) : got.content
}

function compare(got, message) {
  if (!got.ended) throw new Error(`accepted, and the delivery did not see its end: ${got.sender}`)
  if (contentOf(got) === message.content) return
  throw new Error(
    `accepted, but not what was sent:\n  sent ${JSON.stringify(message.content)}\n  got  ${JSON.stringify(contentOf(got))}`,
  )
}

/** Nothing is handed out that the client did not send. */
function checkPrefix(got, model) {
  const all = model.messages.filter(each => each.sender === got.sender)
  if (all.length !== 1 || all[0].content === undefined || got.isRaw) return
  if (!all[0].content.startsWith(got.content))
    throw new Error(`handed out what was not sent: ${JSON.stringify(got.content)}`)
}
