// oxlint-disable no-misused-promises, no-unmodified-loop-condition -- consumers are odd here, and take their time
import t from 'tap'
import { once } from 'node:events'
import { PassThrough, Writable, type Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import { MailHandler } from '../lib/stream/mail-handler.ts'
import type { Body } from '../lib/stream/body.ts'
import type { Verdict } from '../lib/stream/handlers.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply } from '../lib/words/reply.ts'
import { converse } from '../lib/testing/index.ts'

// tap fails a test for an 'error' event nobody listens for and for a rejection nobody handles.

const OK = reply(250, 'OK')
const code = (error: unknown) => (error as { code?: unknown } | null)?.code

class Taking extends MailHandler {
  readonly errors: Error[] = []
  body: Body | null = null
  readonly #consume: (body: Body) => Verdict

  constructor(consume: (body: Body) => Verdict) {
    super({ handleData: () => reply(354, 'go'), handleNoop: () => OK })
    this.#consume = consume
  }

  override handleBody(body: Body): Verdict {
    this.body = body
    return this.#consume(body)
  }

  override handleError(error: Error): void {
    this.errors.push(error)
  }
}

async function begin(consume: (body: Body) => Verdict) {
  const handler = new Taking(consume)
  const c = converse(handler)
  await c.expect(220)
  await c.command('DATA', 354)
  return { handler, c, body: handler.body! }
}

async function read(body: Readable): Promise<string> {
  let text = ''
  for await (const piece of body) text += (piece as Buffer).toString('latin1')
  return text
}

const MIB = 2 ** 20
const LONG = `${'x'.repeat(78)}\r\n`.repeat((4 * MIB) / 80)

t.test('ended: the mail data whole, as it was sent or with transparency removed', async t => {
  const wire = 'a\r\n..b\r\n...\r\n.c\r\n.\r\n'
  for (const [choose, expected] of [
    [(body: Body) => body, 'a\r\n..b\r\n...\r\n.c\r\n'],
    [(body: Body) => body.raw(), 'a\r\n..b\r\n...\r\n.c\r\n'],
    [(body: Body) => body.unstuffed(), 'a\r\n.b\r\n..\r\nc\r\n'],
    [(body: Body) => body.unstuffed().raw(), 'a\r\n..b\r\n...\r\n.c\r\n'],
    [(body: Body) => body.unstuffed().refuseBareNewlines().limit(100), 'a\r\n.b\r\n..\r\nc\r\n'],
  ] as const) {
    let text = ''
    const { c, body } = await begin(async body => {
      t.equal(body.ending, null)
      text = await read(choose(body))
      t.equal(body.ending, 'ended')
      return OK
    })
    c.write(wire)
    await c.expect(250)
    t.equal(text, expected)
    t.equal(body.octets, 'a\r\n.b\r\n..\r\nc\r\n'.length, 'without transparency')
    await c.command('NOOP', 250)
  }
})

t.test('the verdict is not there before handleBody is done', async t => {
  let done: () => void = () => {}
  let tell: () => void = () => {}
  const isRead = new Promise<void>(resolve => (tell = resolve))
  const { c } = await begin(async body => {
    await read(body)
    await new Promise<void>(resolve => {
      done = resolve
      tell()
    })
    return OK
  })
  c.write('x\r\n.\r\nNOOP\r\n')
  await isRead
  await pause(5)
  t.equal(c.unread, 0)
  done()
  await c.expect('250 OK')
  await c.expect('250 OK')
})

t.test('a verdict that is there early waits for the end of data', async t => {
  for (const consume of [() => OK, (body: Body) => (body.resume(), OK), async () => OK]) {
    const { c } = await begin(consume)
    c.write('x\r\n')
    await pause(2)
    t.equal(c.unread, 0)
    c.write('.\r\nNOOP\r\n')
    await c.expect(250)
    await c.expect(250)
  }
})

t.test('refused: the consumer gets the error, the client the reply, the rest is dropped', async t => {
  const cases: readonly [string, (body: Body) => Body, wire: string, string, number][] = [
    ['bare LF', body => body.refuseBareNewlines(), 'a\nb\r\n', 'ERR_BARE_NEWLINE', 550],
    ['bare CR', body => body.refuseBareNewlines(), 'a\rb\r\n', 'ERR_BARE_NEWLINE', 550],
    ['bare CR, unstuffed', body => body.refuseBareNewlines().unstuffed(), 'a\rb\r\n', 'ERR_BARE_NEWLINE', 550],
    ['CR before the end', body => body.refuseBareNewlines(), 'a\r\r\n', 'ERR_BARE_NEWLINE', 550],
    ['size', body => body.limit(10), `${'x'.repeat(9)}\r\n`, 'ERR_SIZE_LIMIT', 552],
  ]
  for (const [name, choose, wire, failure, expected] of cases) {
    for (const rest of ['.\r\n', `${LONG}.\r\n`]) {
      for (const swallow of [false, true]) {
        let error: unknown
        const { c, handler, body } = await begin(async body => {
          try {
            await read(choose(body))
          } catch (e) {
            error = e
            if (!swallow) throw e
          }
          return OK
        })
        c.write(wire + rest)
        await c.expect(expected)
        t.equal(code(error), failure, `${name}, ${swallow ? 'accepted nevertheless' : 'thrown on'}`)
        t.equal(body.ending, 'aborted')
        t.strictSame(handler.errors, [])
        await c.command('NOOP', 250)
      }
    }
  }
  const { c } = await begin(body => (body.limit(11).resume(), OK))
  c.write(`${'x'.repeat(9)}\r\n.\r\n`)
  await c.expect(250)
  const { c: refusing } = await begin(body => (body.limit(1).resume(), reply(451, 'own words')))
  refusing.write('xx\r\n.\r\n')
  await refusing.expect('451 own words')
})

t.test('ERR_BODY_STARTED: how it is read is chosen before', async t => {
  for (const choose of ['raw', 'unstuffed', 'refuseBareNewlines'] as const) {
    const { c, body } = await begin(async body => {
      await read(body)
    })
    c.write('x\r\n')
    await turn()
    t.throws(() => body[choose](), { code: 'ERR_BODY_STARTED' })
    c.write('.\r\n')
    await c.expect(250)
    t.throws(() => body[choose](), { code: 'ERR_BODY_STARTED' })
  }
})

t.test('a consumer that stops early stops nothing', async t => {
  const cases: readonly [name: string, consume: (body: Body) => Verdict, expected: number, reports: number][] = [
    ['ignores it', () => OK, 250, 0],
    ['ignores it, answers later', () => pause(2, OK), 250, 0],
    ['refuses unread', () => reply(550, 'no'), 550, 0],
    ['throws at once', () => fault(), 451, 1],
    ['throws an SmtpError', () => fault(new SmtpError(reply(554, 'no'))), 554, 0],
    ['rejects', async () => fault(), 451, 1],
    ['destroys it', body => (body.destroy(), OK), 250, 0],
    ['destroys it with an error', body => (body.destroy(new Error('x')), OK), 250, 0],
    ['destroys it later', async body => (await once(body, 'data'), body.destroy(), OK), 250, 0],
    [
      'breaks out of the loop',
      async body => {
        for await (const _ of body) break
        return OK
      },
      250,
      0,
    ],
    [
      'throws in the loop',
      async body => {
        for await (const _ of body) fault()
      },
      451,
      1,
    ],
    ['reads once, answers', body => (body.once('data', () => {}), OK), 250, 0],
    ['reads once and later no more', body => once(body, 'data').then(() => OK), 250, 0],
    ['reads by read() alone', body => (body.read(), pause(2, OK)), 250, 0],
    ['pipes to a sink that fails', async body => pipeline(body, failing()).then(() => OK), 451, 1],
    ['pipes to a sink that fails, answered before', body => (body.pipe(failing().on('error', () => {})), OK), 250, 0],
    ['throws in a data listener', body => (body.on('data', () => fault()), closed(body)), 451, 1],
    [
      'throws an SmtpError there',
      body => (body.on('data', () => fault(new SmtpError(reply(552, 'x')))), closed(body)),
      552,
      0,
    ],
    ['throws there, never answers', body => (body.on('data', () => fault()), never()), 451, 1],
    ['rejects in a data listener', body => (body.on('data', async () => fault()), never()), 451, 1],
    ['throws in a readable listener', body => (body.on('readable', () => fault()), never()), 451, 1],
    ['throws in an end listener', body => (body.resume().on('end', () => fault()), never()), 451, 1],
    [
      'throws in an end listener, answers there',
      body => new Promise(resolve => void body.resume().on('end', () => (resolve(OK), fault()))),
      451,
      1,
    ],
  ]
  for (const [name, consume, expected, reports] of cases) {
    for (const data of ['', 'x\r\n', LONG]) {
      if (data === '' && /once|later|loop|data listener|readable|there|sink/.test(name)) continue
      for (const parts of [1, 2]) {
        const { c, handler } = await begin(consume)
        if (parts === 2) {
          c.write(data)
          await c.drained()
          await turn()
          c.write('.\r\nNOOP\r\n')
        } else {
          c.write(`${data}.\r\nNOOP\r\n`)
        }
        await c.expect(expected)
        await c.expect(250)
        await c.command('NOOP', 250)
        if (data !== '') t.equal(handler.errors.length, reports, `${name}, ${data.length} octets, ${parts} parts`)
      }
    }
  }
})

function fault(error: Error = new Error('a fault of the consumer')): never {
  throw error
}
/** A consumer that takes any end for a good one. */
const closed = (body: Body) => new Promise<typeof OK>(resolve => body.once('close', () => resolve(OK)))
const never = () => new Promise<void>(() => {})
const failing = () => new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) })

t.test('a consumer that attaches late gets all of it', async t => {
  let text = ''
  const { c } = await begin(async body => {
    await pause(5)
    text = await read(body.unstuffed())
    return OK
  })
  c.write('a\r\n..b\r\n.\r\nNOOP\r\n')
  await c.expect(250)
  await c.expect(250)
  t.equal(text, 'a\r\n.b\r\n')
})

t.test('drained: what nobody reads is counted nevertheless, and the limit holds', async t => {
  const { c, body } = await begin(body => (body.limit(1000), OK))
  c.write(`${LONG}.\r\n`)
  await c.expect(552)
  t.equal(body.octets >= 1000, true)
})

t.test('truncated: nobody takes it for whole', async t => {
  const consumers: readonly [string, (body: Body) => Promise<unknown>][] = [
    ['for await', body => read(body)],
    ['pipeline', body => pipeline(body, new PassThrough().resume())],
    ['finished', body => finished(body.resume())],
    ['events', body => new Promise((resolve, reject) => body.resume().on('end', resolve).on('error', reject))],
    ['late', async body => (await pause(8), read(body))],
    ['late, pipeline', async body => (await pause(8), pipeline(body, new PassThrough().resume()))],
    [
      'slow',
      async body => {
        for await (const _ of body) await pause(3)
      },
    ],
  ]
  const cuts: readonly [string, (h: Taking) => void][] = [
    ['half-close', h => void h.end()],
    ['destroy', h => void h.destroy()],
    ['destroy with an error', h => void h.on('error', () => {}).destroy(new Error('x'))],
    ['hangUp', h => (h.hangUp(reply(421, 'x')), h.end())],
    ['breakConnection and half-close', h => ((h.breakConnection = true), h.end())],
  ]
  for (const [consumer, consume] of consumers) {
    for (const [cut, end] of cuts) {
      for (const data of ['', 'x\r\n', 'x\r\n.', 'x\r\n.\r', 'x\r\n.\n']) {
        let outcome: unknown = 'pending'
        const { c, handler, body } = await begin(async body => {
          outcome = await consume(body).then(() => 'whole', code)
          if (outcome === 'ERR_TRUNCATED') throw Object.assign(new SmtpError(OK))
          return OK
        })
        if (data !== '') c.write(data)
        await turn()
        end(handler)
        await c.closed()
        while (outcome === 'pending') await pause(2)
        t.equal(outcome, 'ERR_TRUNCATED', `${consumer}, ${cut}, ${JSON.stringify(data)}`)
        t.equal(body.ending, 'truncated')
        t.equal(c.unread, cut === 'hangUp' ? 1 : 0, 'no verdict')
      }
    }
  }
})

t.test('truncated, and nobody listens: nothing is thrown', async t => {
  for (const consume of [() => never(), () => OK, (body: Body) => (body.resume(), never()), async () => {}]) {
    const { c, handler, body } = await begin(consume)
    c.write('x\r\n')
    await turn()
    handler.destroy()
    await c.closed()
    await turn()
    t.ok(body.destroyed)
    t.notOk(body.readableEnded)
    t.strictSame(handler.errors, [])
  }
})

t.test('a consumer that hangs up or destroys the session from within', async t => {
  for (const end of ['hangUp', 'destroy'] as const) {
    for (const wire of ['x\r\n', 'x\r\n.\r\n', 'x\r\n.\r\nNOOP\r\n']) {
      const { c, handler } = await begin(async body => {
        body.on('data', () => handler[end]())
        await finished(body).catch(() => {})
        return OK
      })
      await turn() // flowing, so that the listener is called within the handler's loop
      c.write(wire)
      await c.closed()
      t.equal(c.unread, 0)
      t.strictSame(handler.errors, [])
      t.equal(handler.body?.ending, 'truncated', `${end} ${JSON.stringify(wire)}`)
    }
  }
})

t.test('a body that is whole stays whole, though the session ends before the verdict', async t => {
  let text = ''
  let done = false
  const { c, handler, body } = await begin(async body => {
    await pause(5)
    text = await read(body)
    done = true
    return OK
  })
  body.read(0)
  c.write('x\r\n.\r\n')
  await turn()
  handler.destroy()
  await c.closed()
  while (!done) await pause(2)
  t.equal(text, 'x\r\n')
  t.equal(body.ending, 'ended')
})

t.test('each message has its own verdict, however late another is', async () => {
  const late: ((verdict: Verdict) => void)[] = []
  const { c } = await begin(body => {
    if (late.length > 0) return (body.resume(), pause(5, reply(552, 'second')))
    body.on('data', () => fault())
    return new Promise(resolve => void late.push(resolve as (verdict: Verdict) => void))
  })
  c.write('x\r\n.\r\n')
  await c.expect(451)
  await c.command('DATA', 354)
  late[0]?.(reply(250, 'first, too late'))
  c.write('y\r\n.\r\n')
  await c.expect('552 second')
})
