// The option `filters`: what the reader gets, what the client is told, when a filter is made. Throwing listeners are in
// filters.test.ts.

import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Filter, TakingHook } from '../lib/smtp/hooks.ts'
import type { Message } from '../lib/smtp/message.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { limitSize } from '../lib/transforms/limit-size.ts'
import { through } from '../lib/transforms/through.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { address, begin, deliver, MAIL, quit } from './fixtures/dialogue.ts'
import { NEVER, readAll, watched, watchProcess } from './fixtures/hooks.ts'

watchProcess(t)

const boom = new Error('virus scanner is gone')

const upper: Filter = () =>
  through((chunk, _encoding, done) => done(null, Buffer.from(chunk.toString('latin1').toUpperCase(), 'latin1')))
const early: Filter = () =>
  through(function (chunk, _encoding, done) {
    this.push(chunk.subarray(0, 5))
    this.push(null)
    done()
  })
const unmade: Filter = () => {
  throw boom
}
const failing =
  (when: 'chunk' | 'end', error: Error): Filter =>
  () =>
    through(
      (chunk, _encoding, done) => done(when === 'chunk' ? error : null, chunk),
      done => done(when === 'end' ? error : null),
    )
const limited =
  (octets: number): Filter =>
  () =>
    limitSize(octets)

/** The filters, the code of the verdict, what a reader gets if the message is whole. */
const TABLE: Record<string, [Filter[], number, string | null]> = {
  'one filter': [[upper], 250, MAIL.toUpperCase()],
  'filters in order': [[upper, limited(MAIL.length)], 250, MAIL.toUpperCase()],
  'a filter that ends early': [[early], 250, MAIL.slice(0, 5)],
  'a filter that cannot be made': [[unmade], 451, null],
  'a filter that fails at a chunk': [[upper, failing('chunk', boom)], 451, null],
  'a filter that fails at the end': [[upper, failing('end', boom)], 451, null],
  'a filter that refuses': [[failing('end', new SmtpError(NEVER))], 550, null],
  'a message too large for a filter': [[limited(10)], 552, null],
}

type Reader = NonNullable<TakingHook['onMessage']>

/** How onMessage reads; `get` is called with what it got. */
const READERS: Record<string, (get: (mail: string) => void) => Reader> = {
  'reads all': get => async (message: Message) => {
    get(await text(message))
  },
  'does not read': () => () => {},
  'resumes, and does not wait': () => message => void message.on('error', () => {}).resume(),
  'reads, and ignores the error': () => async message => void (await text(message).catch(() => '')),
}

for (const [name, [filters, code, expected]] of Object.entries(TABLE)) {
  t.test(name, async t => {
    for (const [how, reader] of Object.entries(READERS)) {
      let got: string | null = null
      const { handler } = watched({ filters, onMessage: reader(mail => (got = mail)) })
      const c = await begin(handler)
      for (let i = 0; i < 2; i++) {
        got = null
        await address(c)
        await deliver(c, code)
        t.equal(got, how === 'reads all' ? expected : null, how)
      }
      await quit(c)
    }
  })
}

t.test('a filter gets all of a message that onMessage does not read', async t => {
  const large = `Subject: x\r\n\r\n${'x'.repeat(70).concat('\r\n').repeat(5000)}`
  let octets = 0
  const count = () => through((chunk, _encoding, done) => ((octets += chunk.length), done(null, chunk)))
  const c = await begin(new SmtpHandler({ filters: [count], onMessage: () => {} }))
  await address(c)
  await deliver(c, 250, large)
  t.equal(octets, large.length)
  await quit(c)
})

t.test('a filter gets the session, and is made for each message', async t => {
  const seen: unknown[] = []
  const filter: Filter = session => {
    seen.push(session.envelope?.sender.address)
    return new PassThrough()
  }
  const c = await begin(new SmtpHandler({ filters: [filter], onMessage: readAll }))
  for (const who of ['a', 'b']) {
    await c.command(`MAIL FROM:<${who}@example.org>`, 250)
    await c.command('RCPT TO:<c@example.org>', 250)
    await deliver(c, 250)
  }
  await quit(c)
  t.same(seen, ['a@example.org', 'b@example.org'])
})
