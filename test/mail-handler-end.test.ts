// How a session of MailHandler ends: by a reply, breakConnection, hangUp, destroy; what is called then.

import { once } from 'node:events'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { controls, MailHandler, type MailHandlerOptions } from '../lib/stream/mail-handler.ts'
import type { Answer } from '../lib/stream/handlers.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { converse } from '../lib/testing/index.ts'
import { settle } from './fixtures/fake-clock.ts'
import { closed, codes, OK, talk } from './fixtures/talk.ts'
import { TakingHandler } from './fixtures/taking-handler.ts'

t.test('the session ends with 221, 421 and breakConnection', async t => {
  for (const ends of [221, 421]) {
    const handler = new MailHandler({ handleNoop: () => reply(ends, 'bye') })
    const c = converse(handler)
    await c.expect(220)
    c.write('NOOP\r\nNOOP\r\n')
    await c.expect(ends)
    await c.closed()
    t.ok(handler.breakConnection)
    t.equal(c.unread, 0)
  }
  const breaking: readonly [string, MailHandlerOptions, string][] = [
    ['in a method', { handleNoop: breakOff }, '220 250'],
    ['in a method that answers later', { handleNoop: async () => breakOff.call(handler) }, '220 250'],
    ['in a method with no answer', { handleNoop: () => void (handler.breakConnection = true) }, '220 502'],
    ['in the greeting', { handleConnect: breakOff }, '250'],
    ['with 354', { handleNoop: () => ((handler.breakConnection = true), reply(354, 'x')) }, '220 354'],
  ]
  let handler: MailHandler
  function breakOff(): Reply {
    handler.breakConnection = true
    return OK
  }
  for (const [name, options, expected] of breaking) {
    handler = new TakingHandler(options)
    t.equal(codes(await talk(handler, 'NOOP\r\nVRFY\r\n')), expected, name)
  }
  handler = new MailHandler()
  const c = converse(handler)
  await c.expect(220)
  handler.breakConnection = true
  await c.closed()
  t.equal(c.unread, 0, 'set between two commands: at once')
})

t.test('handleBody: breakConnection ends the session after the verdict', async t => {
  const handler = new MailHandler({
    handleData: () => reply(354, 'go'),
    handleBody() {
      this.breakConnection = true
    },
  })
  t.equal(codes(await talk(handler, 'DATA\r\nx\r\n.\r\nNOOP\r\n')), '220 354 250')
})

t.test('hangUp', async t => {
  const bye = reply(421, '4.3.2', 'bye')
  const states: readonly [string, wire: string, said: string][] = [
    ['before anything', '', '421'],
    ['between commands', 'NOOP\r\n', '220 250 421'],
    ['within a line', 'NOO', '220 421'],
    ['while an answer is pending', 'HELP\r\nNOOP\r\n', '220 421'],
    ['while a prompt waits', 'AUTH\r\n', '220 334 421'],
    ['within mail data', 'DATA\r\nhalf', '220 354 421'],
    ['while the verdict is pending', 'DATA\r\nslow\r\n.\r\nNOOP\r\n', '220 354 421'],
    ['after QUIT', 'QUIT\r\n', '220 221'],
  ]
  for (const [name, wire, expected] of states) {
    let answer: () => void = () => {}
    const late = new Promise<void>(resolve => (answer = resolve))
    class Slow extends TakingHandler {
      override handleHelp(): Answer {
        return late.then(() => OK)
      }
      override async handleBody(body: Parameters<MailHandler['handleBody']>[0]): Promise<Reply> {
        const verdict = await super.handleBody(body)
        return late.then(() => verdict)
      }
    }
    const handler = new Slow()
    let said = ''
    if (wire !== '') {
      handler.on('data', octets => (said += String(octets)))
      handler.write(wire)
      await settle(20)
    }
    handler.hangUp(bye)
    handler.hangUp(bye)
    if (wire === '') handler.on('data', octets => (said += String(octets)))
    if (!handler.readableEnded) await once(handler, 'end')
    handler.write('NOOP\r\n')
    handler.end()
    await closed(handler)
    answer()
    await settle(20)
    t.equal(codes(said), expected, name)
    t.strictSame(handler.ends, ['disconnect', 'result'])
    t.strictSame(handler.errors, [])
    if (name === 'within mail data') t.strictSame(handler.failures, ['ERR_TRUNCATED'])
    handler.hangUp(bye)
  }
})

t.test('an observer that hangs up has its reply behind the one at hand', async t => {
  const table = [
    [220, '220 421'],
    [250, '220 250 421'],
    [354, '220 250 354 421'],
    [334, '220 250 354 250 334 421'],
  ] as const
  for (const [at, expected] of table) {
    const handler = new TakingHandler()
    controls.dialogue(handler).observer = {
      onWait() {},
      onReply({ code }) {
        if (code === at) handler.hangUp(reply(421, 'bye'))
      },
      onVerdict: verdict => verdict,
    }
    t.equal(codes(await talk(handler, 'NOOP\r\nDATA\r\nx\r\n.\r\nAUTH\r\nNOOP\r\n')), expected)
    t.strictSame(handler.ends, ['disconnect', 'result'])
    t.equal(handler.messages.length + handler.failures.length, at === 334 ? 1 : 0)
  }
})

t.test('a method that hangs up or destroys itself has the last word', async t => {
  const bye = reply(421, 'bye')
  const methods = ['handleConnect', 'handleNoop', 'handleProblem', 'handleBody'] as const
  for (const method of methods) {
    for (const late of [false, true]) {
      for (const end of ['hangUp', 'destroy'] as const) {
        const handler = new TakingHandler()
        Object.defineProperty(handler, method, {
          value: () => {
            if (end === 'hangUp') handler.hangUp(bye)
            else handler.destroy()
            return late ? turn(OK) : OK
          },
        })
        const said = await talk(handler, 'NOOP\r\n\0\r\nDATA\r\nx\r\n.\r\nVRFY\r\n')
        await turn()
        await turn()
        t.equal(/421 bye\r\n$/.exec(said) !== null, end === 'hangUp', `${method} ${end} ${late ? 'late' : 'at once'}`)
        t.strictSame(handler.errors, [])
        t.strictSame(handler.ends, ['disconnect', 'result'])
      }
    }
  }
})

t.test('handleDisconnect and logResult: once, in this order, however it ends', async t => {
  const endings: readonly [string, (h: TakingHandler) => void][] = [
    ['QUIT', h => void h.end('QUIT\r\n')],
    ['QUIT, and more', h => void h.end('QUIT\r\nNOOP\r\n')],
    ['half-close', h => void h.end('NOOP\r\n')],
    ['half-close within mail data', h => void h.end('DATA\r\nx')],
    ['end without write', h => void h.end()],
    ['destroy', h => void h.destroy()],
    ['destroy after write', h => void (h.write('NOOP\r\n'), h.destroy())],
    ['destroy twice', h => void (h.destroy(), h.destroy(new Error('x')))],
    ['destroy with an error', h => void h.destroy(new Error('x'))],
    ['destroy while an answer is pending', h => void (h.write('NOOP\r\nNOOP\r\n'), setImmediate(() => h.destroy()))],
    ['421', h => (h.hangUp(reply(421, 'x')), h.end())],
  ]
  for (const delay of [undefined, 2]) {
    for (const [name, end] of endings) {
      const handler = new TakingHandler(delay === undefined ? {} : { delay })
      handler.resume()
      end(handler)
      await closed(handler)
      await pause(delay ?? 0)
      t.strictSame(handler.ends, ['disconnect', 'result'], name)
    }
  }
  const aborted = new AbortController()
  const handler = new TakingHandler({ signal: aborted.signal })
  handler.resume()
  aborted.abort()
  await closed(handler)
  t.strictSame(handler.ends, ['disconnect', 'result'], 'signal')
})

t.test('close waits for handleDisconnect', async t => {
  const order: string[] = []
  const handler = new MailHandler({
    handleDisconnect: () => pause(5).then(() => void order.push('disconnect')),
    logResult: () => void order.push('result'),
  })
  handler.on('close', () => order.push('close'))
  await talk(handler, 'NOOP\r\n')
  t.strictSame(order, ['disconnect', 'result', 'close'])
})

t.test('destroy(error): an error event for who listens, a report for who does not', async t => {
  const deaf = new TakingHandler()
  deaf.destroy(new Error('x'))
  await closed(deaf)
  t.equal(deaf.errors[0]?.message, 'x')
  const listening = new TakingHandler()
  const errors: Error[] = []
  listening.on('error', error => errors.push(error))
  listening.destroy(new Error('y'))
  await closed(listening)
  t.equal(errors[0]?.message, 'y')
  t.strictSame(listening.errors, [])
})

t.test('a client that sends QUIT while it is handed a reply gets its 221 before the end', async t => {
  const handler = new TakingHandler()
  let said = ''
  handler.on('data', octets => {
    said += String(octets)
    if (said.endsWith('ESMTP\r\n')) handler.write('QUIT\r\n')
  })
  await once(handler, 'end')
  t.equal(codes(said), '220 221')
  t.strictSame(handler.errors, [])
})
