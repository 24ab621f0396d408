// Notes: what policies learn of a session or a transaction, typed, for those that are asked after them.

import t from 'tap'
import { noteKey, Notes } from '../lib/smtp/notes.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { certificate } from './fixtures/certificates.ts'
import { address, begin, deliver, quit } from './fixtures/dialogue.ts'
import { readAll as onMessage, watchProcess } from './fixtures/hooks.ts'
import { secureConversation } from './fixtures/secure-client.ts'

watchProcess(t)

const score = noteKey<number>('score')
const names = noteKey<readonly string[]>('names')

t.test('get, set, delete', t => {
  const notes = new Notes()
  t.equal(notes.get(score), undefined)
  notes.set(score, 3)
  notes.set(names, ['a'])
  const known: number | undefined = notes.get(score)
  t.equal(known, 3)
  t.strictSame(notes.get(names), ['a'])
  notes.set(score, 0)
  t.equal(notes.get(score), 0)
  t.equal(notes.delete(score), true)
  t.equal(notes.delete(score), false)
  t.equal(notes.get(score), undefined)
  t.strictSame(notes.get(names), ['a'])
  t.end()
})

t.test('a copy of its own', t => {
  const first = new Notes()
  first.set(score, 1)
  const second = new Notes(first)
  second.set(score, 2)
  second.set(names, [])
  t.equal(first.get(score), 1)
  t.equal(first.get(names), undefined)
  t.equal(second.get(score), 2)
  t.end()
})

t.test('a key is itself, whatever its name; it cannot be changed', t => {
  const notes = new Notes()
  const other = noteKey<number>('score')
  notes.set(score, 1)
  t.equal(notes.get(other), undefined)
  t.equal(other.name, 'score')
  t.ok(Object.isFrozen(other))
  t.strictSame(Object.keys(notes), [], 'nothing of them is seen from outside')
  t.end()
})

t.test('a session keeps its notes, a transaction its own', async t => {
  const seen: unknown[] = []
  const handler = new SmtpHandler({
    policies: [
      {
        onConnect: ({ notes }) => notes.set(score, 1),
        onMailFrom: ({ localPart }, { notes }) => notes.set(names, [...(notes.get(names) ?? []), localPart]),
        onRcptTo: (_, { envelope }) => envelope.notes.set(score, (envelope.notes.get(score) ?? 10) + 1),
      },
    ],
    async onMessage(message, { notes, envelope }) {
      await onMessage(message)
      seen.push([notes.get(score), notes.get(names), envelope.notes.get(score)])
    },
  })
  const c = await begin(handler)
  for (let mail = 0; mail < 2; mail++) {
    await address(c, 'one@example.org', 'two@example.org')
    await deliver(c, 250)
  }
  await c.command('RSET', 250)
  await c.command('EHLO again.example', 250)
  t.equal(handler.session.notes.get(score), 1)
  t.equal(handler.session.notes, handler.session.notes)
  await quit(c)
  t.strictSame(seen, [
    [1, ['sender'], 12],
    [1, ['sender', 'sender'], 12],
  ])
  t.equal(new SmtpHandler().session.notes.get(score), undefined, 'no other session has them')
})

t.test('after STARTTLS: those of the greeting, none of what the client said since', async t => {
  const handler = new SmtpHandler({
    tls: certificate(),
    onConnect: ({ notes }) => notes.set(score, 1),
    onHelo({ notes, helo }) {
      notes.set(score, 2)
      notes.set(names, [helo ?? ''])
    },
    onSecure({ notes }) {
      t.equal(notes.get(score), 1)
      t.equal(notes.get(names), undefined)
    },
  })
  const c = await secureConversation(handler)
  await c.command('EHLO secure.example', 250)
  t.strictSame(handler.session.notes.get(names), ['secure.example'])
  await quit(c)
})

t.test('IPv4 addresses that are mapped into IPv6 are written as IPv4, by the option and by XCLIENT', async t => {
  const seen: (string | null)[] = []
  const handler = new SmtpHandler({
    xclient: ['10.0.0.0/8'],
    client: { address: '::ffff:10.0.0.1' },
    onConnect: ({ client }) => void seen.push(client.address),
  })
  const c = await begin(handler)
  await c.command('XCLIENT ADDR=IPV6:::FFFF:192.0.2.1', 220)
  t.strictSame(seen, ['10.0.0.1', '192.0.2.1'])
  await quit(c)
})

t.test('after XCLIENT: none, as the client is another', async t => {
  let greetings = 0
  const handler = new SmtpHandler({
    xclient: ['10.0.0.0/8'],
    client: { address: '10.0.0.1' },
    onConnect({ notes, client }) {
      greetings += 1
      if (greetings === 1) notes.set(score, 1)
      t.equal(notes.get(score), greetings === 1 ? 1 : undefined, String(client.address))
    },
  })
  const c = await begin(handler)
  await c.command('XCLIENT ADDR=192.0.2.1', 220)
  t.equal(greetings, 2)
  t.equal(handler.session.notes.get(score), undefined)
  await quit(c)
})
