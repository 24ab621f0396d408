// LMTP: onMessage may give its replies one by one, as an AsyncIterable; each is sent when it is known, and not before the
// end of data. [RFC 2033 §4.2]

import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Filter, MessageAnswer } from '../lib/smtp/hooks.ts'
import type { Message } from '../lib/smtp/message.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { SessionInTransaction } from '../lib/smtp/session.ts'
import { converse, type Conversation } from '../lib/testing/conversation.ts'
import type { MailHandlerError } from '../lib/words/errors.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { address, MAIL } from './fixtures/dialogue.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { watched, watchProcess } from './fixtures/hooks.ts'

watchProcess(t)

const WAYS = ['DATA', 'BDAT'] as const
type Way = (typeof WAYS)[number]

const LARGE = `Subject: x\r\n\r\n${'x'.repeat(70).concat('\r\n').repeat(6000)}`
const taken = (i: number): Reply => reply(250, '2.1.5', `Recipient ${i}`)
const FULL = reply(452, '4.2.2', 'Full')
const boom = new Error('the disk is full')

type OnMessage = (message: Message, session: SessionInTransaction) => MessageAnswer

interface Scene {
  readonly c: Conversation
  readonly errors: Error[]
}

/** A session up to the mail data, with three recipients. */
async function begin(onMessage: OnMessage, options: SmtpHandlerOptions = {}): Promise<Scene> {
  const errors: Error[] = []
  const handleError = (error: Error): void => {
    if ((error as MailHandlerError).code !== 'ERR_UNREAD') errors.push(error) // most generators here read nothing
  }
  const handler = new SmtpHandler({ lmtp: true, ...options, onMessage, handleError } as SmtpHandlerOptions)
  const c = converse(handler)
  await c.expect(220)
  await c.command('LHLO c.example', 250)
  await address(c, 'a@example.org', 'b@example.org', 'c@example.org')
  return { c, errors }
}

/** Sends a message whole. */
async function send(c: Conversation, way: Way, mail: string = MAIL): Promise<void> {
  if (way === 'DATA') {
    await c.command('DATA', 354)
    await c.data(mail)
  } else c.write(`BDAT ${Buffer.byteLength(mail)} LAST\r\n${mail}`)
}

async function expectAll(c: Conversation, ...expected: readonly (number | string | RegExp)[]): Promise<void> {
  for (const each of expected) await c.expect(each)
  await c.command('NOOP', '250 2.0.0 OK')
}

/** Makes a promise, and what resolves it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => {}
  const opened = new Promise<void>(resolve => (open = resolve))
  return { opened, open }
}

async function* threeAfter(message: Message): AsyncGenerator<Reply, void> {
  await text(message)
  for (const i of [1, 2, 3]) yield taken(i)
}

t.test('a reply for each recipient, in their order', async t => {
  const answers: Record<string, OnMessage> = {
    'a generator': threeAfter,
    'a promise of a generator': async message => threeAfter(message),
    'an iterable of its own': async message => {
      await text(message)
      let i = 0
      return {
        [Symbol.asyncIterator]: () => ({
          next: async () => (++i > 3 ? { done: true, value: undefined } : { done: false, value: taken(i) }),
        }),
      }
    },
  }
  for (const [name, onMessage] of Object.entries(answers)) {
    for (const way of WAYS) {
      const { c, errors } = await begin(onMessage)
      for (let mail = 0; mail < 2; mail++) {
        await send(c, way)
        await expectAll(c, '250 2.1.5 Recipient 1', '250 2.1.5 Recipient 2', '250 2.1.5 Recipient 3')
        await address(c, 'a@example.org', 'b@example.org', 'c@example.org')
      }
      t.strictSame(errors, [], `${name}, ${way}`)
    }
  }
})

t.test('a message that was taken for one recipient starts the count of errors again', async t => {
  const codes = [250, 250, 554]
  const onMessage: OnMessage = async function* (message) {
    await text(message)
    for (const code of codes) yield reply(code, 'Each')
  }
  for (const way of WAYS) {
    const { c } = await begin(onMessage, { limits: { errors: 2 } })
    await c.command('XYZZY', 500)
    await send(c, way)
    await expectAll(c, ...codes)
    await c.command('NOOP', 250)
    await c.command('XYZZY', 500)
    t.match(await c.command('NOOP'), { code: 421 }, 'the refused recipient is one error, and this is another')
  }
})

t.test('each is sent when it is known', async t => {
  for (const way of WAYS) {
    const gates = [gate(), gate(), gate()]
    const { c } = await begin(async function* (message) {
      await text(message)
      for (const [i, { opened }] of gates.entries()) {
        await opened
        yield i === 1 ? FULL : taken(i + 1)
      }
    })
    await send(c, way)
    for (const [i, code] of [250, 452, 250].entries()) {
      await settle()
      t.equal(c.unread, 0, `${way}: ${i} replies so far`)
      gates[i]!.open()
      await c.expect(code)
    }
    await expectAll(c)
  }
})

t.test('a generator that accepts before it has read the message is reported, once', async t => {
  const read = (text: string) =>
    async function* (message: Message) {
      if (text !== '') message.resume()
      yield taken(1)
      yield FULL
    }
  for (const [text, codes] of [
    ['', ['ERR_UNREAD']],
    ['read', []],
  ] as const) {
    const { handler, errors } = watched({ lmtp: true, onMessage: read(text) })
    const c = converse(handler)
    await c.expect(220)
    await c.command('LHLO c.example', 250)
    for (let i = 0; i < 2; i++) {
      await address(c, 'a@example.org', 'b@example.org')
      await send(c, 'DATA')
      await expectAll(c, 250, 452)
    }
    t.match(
      errors.map(error => (error as MailHandlerError).code),
      codes,
    )
    t.equal(errors.length, codes.length)
  }
})

t.test('none is sent before the end of data', async t => {
  for (const way of WAYS) {
    const { c } = await begin(async function* () {
      for (const i of [1, 2, 3]) yield taken(i)
    })
    if (way === 'DATA') await c.command('DATA', 354)
    c.write(way === 'DATA' ? 'Subject: x\r\n' : 'BDAT 20 LAST\r\nSubject: x\r\n')
    await settle(10)
    t.equal(c.unread, 0, way)
    c.write(way === 'DATA' ? '.\r\n' : '12345678')
    await expectAll(c, 250, 250, 250)
  }
})

t.test('in SMTP one reply is wanted', async t => {
  const { handler, errors } = watched({
    async *onMessage() {
      yield FULL
    },
  })
  const c = converse(handler)
  await c.expect(220)
  await c.command('EHLO c.example', 250)
  await address(c, 'a@example.org', 'b@example.org', 'c@example.org')
  await send(c, 'DATA')
  await expectAll(c, 452)
  t.strictSame(errors, [])
})

// ── Too few, too many, an error ──

/** What the generator yields, then what it does; the replies; the errors that are reported. */
const WRONG: Record<string, [OnMessage, (number | string | RegExp)[], object[]]> = {
  'too few': [
    async function* () {
      yield taken(1)
    },
    ['250 2.1.5 Recipient 1', '451 4.3.0 …', '451 4.3.0 …'],
    [{ code: 'ERR_REPLY', message: 'onMessage gave 1 of 3 replies, one for each recipient' }],
  ],
  none: [
    async function* () {},
    ['451 4.3.0 …', '451 4.3.0 …', '451 4.3.0 …'],
    [{ code: 'ERR_REPLY', message: 'onMessage gave 0 of 3 replies, one for each recipient' }],
  ],
  'too many': [
    async function* () {
      for (const i of [1, 2, 3, 4, 5]) yield taken(i)
    },
    [250, 250, '250 2.1.5 Recipient 3'],
    [{ code: 'ERR_REPLY', message: 'onMessage gave more than 3 of 3 replies, one for each recipient' }],
  ],
  'throws in the middle': [
    async function* () {
      yield taken(1)
      throw boom
    },
    [250, '451 4.3.0 …', '451 4.3.0 …'],
    [boom],
  ],
  'throws at once': [
    // oxlint-disable-next-line require-yield -- it has no time to
    async function* () {
      throw boom
    },
    ['451 4.3.0 …', '451 4.3.0 …', '451 4.3.0 …'],
    [boom],
  ],
  'throws an SmtpError in the middle': [
    async function* () {
      yield taken(1)
      throw new SmtpError(FULL)
    },
    [250, '452 4.2.2 Full', '452 4.2.2 Full'],
    [],
  ],
  'throws after the last': [
    async function* () {
      for (const i of [1, 2, 3]) yield taken(i)
      throw boom
    },
    [250, 250, 250],
    [boom],
  ],
  'yields what is no reply': [
    async function* () {
      yield taken(1)
      yield '250 OK' as unknown as Reply
      yield taken(3)
    },
    [250, '451 4.3.0 …', '451 4.3.0 …'],
    [{ code: 'ERR_REPLY', message: /the string "250 OK"/ }],
  ],
  'yields a 354': [
    async function* () {
      yield reply(354, 'Go on')
    },
    [451, 451, 451],
    [{ code: 'ERR_REPLY' }],
  ],
  'is no iterable after all': [
    () => ({ [Symbol.asyncIterator]: () => undefined }) as never,
    [451, 451, 451],
    [{ name: 'TypeError' }],
  ],
}

for (const [name, [onMessage, expected, reported]] of Object.entries(WRONG)) {
  t.test(`replies one by one: ${name}`, async t => {
    for (const way of WAYS) {
      for (const mail of [MAIL, LARGE]) {
        const { c, errors } = await begin(onMessage)
        await send(c, way, mail)
        await expectAll(c, ...expected)
        await settle()
        t.match(errors, reported, way)
        t.equal(errors.length, reported.length, 'each once')
        t.equal(c.unread, 0)
      }
    }
  })
}

t.test('the generator is closed, and its code behind the last reply is run', async t => {
  const log: string[] = []
  const { c } = await begin(async function* () {
    try {
      for (const i of [1, 2, 3]) yield taken(i)
      log.push('behind')
    } finally {
      log.push('closed')
    }
  })
  await send(c, 'DATA')
  await expectAll(c, 250, 250, 250)
  await settle()
  t.strictSame(log, ['behind', 'closed'])
})

t.test('the generator is closed if nobody waits for its replies', async t => {
  const scenes: Record<string, (c: Conversation, clock: FakeClock) => Promise<unknown>> = {
    'too many': async c => {
      await send(c, 'DATA')
      await expectAll(c, 250, 250, 250)
    },
    'the client leaves in the mail data': async c => {
      await c.command('DATA', 354)
      c.write('Subject: x\r\n')
      await settle()
      c.reset()
    },
    'the verdict takes too long': async (c, clock) => {
      await send(c, 'DATA', 'Subject: slow\r\n')
      await c.expect(250)
      await clock.tick(540_000)
      await expectAll(c, 451, 451)
    },
  }
  for (const [name, play] of Object.entries(scenes)) {
    let closed = 0
    const clock = new FakeClock()
    const { c } = await begin(
      async function* (message, { envelope: { signal } }) {
        try {
          yield taken(1)
          if (name === 'the verdict takes too long') await once(signal, 'abort')
          for (let i = 2; ; i++) yield taken(i)
        } finally {
          closed += 1
          message.destroy()
        }
      },
      { clock } as SmtpHandlerOptions,
    )
    await play(c, clock)
    await settle(10)
    t.equal(closed, 1, name)
  }
})

t.test('a verdict that takes too long in the middle: 451 to those that were not told', async t => {
  const clock = new FakeClock()
  const { c, errors } = await begin(
    async function* (_, { envelope: { signal } }) {
      yield taken(1)
      await once(signal, 'abort')
      yield taken(2)
      yield taken(3)
    },
    { clock } as SmtpHandlerOptions,
  )
  await send(c, 'DATA')
  await c.expect('250 2.1.5 Recipient 1')
  await clock.tick(539_999)
  t.equal(c.unread, 0)
  await clock.tick(1)
  await expectAll(c, '451 4.3.0 …', '451 4.3.0 …')
  t.match(errors, [{ code: 'ERR_TIMEOUT' }])
  t.equal(c.unread, 0, 'what came late is not sent')
})

// ── The message ──

t.test('a message that is refused is refused for each', async t => {
  const table: [SmtpHandlerOptions, string, RegExp][] = [
    [{ bareNewline: 'reject' }, 'a\nb\r\n', /^550 5\.5\.2 /],
    [{ size: 10 }, 'x'.repeat(20), /^552 5\.3\.4 /],
    [{ limits: { header: 10 } }, 'x'.repeat(20), /^552 5\.3\.4 /],
  ]
  for (const [options, mail, verdict] of table) {
    for (const reads of [true, false]) {
      const { c, errors } = await begin(async function* (message) {
        if (reads) await text(message)
        for (const i of [1, 2]) yield taken(i)
        yield FULL
      }, options)
      await send(c, 'DATA', mail)
      await expectAll(c, verdict, verdict, reads ? verdict : 452)
      t.strictSame(errors, [])
    }
  }
})

const pass: Filter = () => new PassThrough()
const failing: Filter = () => {
  const filter = new PassThrough()
  filter.on('data', () => filter.destroy(new SmtpError(reply(554, '5.7.1', 'A virus'))))
  return filter
}

t.test('a message that nobody reads, small and large, with and without filters', async t => {
  for (const filters of [[], [pass], [pass, pass]]) {
    for (const way of WAYS) {
      for (const mail of [MAIL, LARGE]) {
        const { c } = await begin(
          async function* () {
            for (const i of [1, 2, 3]) yield taken(i)
          },
          { filters } as SmtpHandlerOptions,
        )
        await send(c, way, mail)
        await expectAll(c, 250, 250, 250)
        t.pass(`${filters.length} filters, ${way}, ${mail.length} octets`)
      }
    }
  }
})

t.test('a filter that fails refuses those that would be taken', async t => {
  for (const mail of [MAIL, LARGE]) {
    const { c } = await begin(
      async function* () {
        yield taken(1)
        yield FULL
        yield taken(3)
      },
      { filters: [failing] } as SmtpHandlerOptions,
    )
    await send(c, 'DATA', mail)
    await expectAll(c, '554 5.7.1 A virus', '452 4.2.2 Full', '554 5.7.1 A virus')
    t.pass(`${mail.length} octets`)
  }
})
