// Policies over lists, in the options and in files.

import { renameSync, rmSync, writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import type { DnsResolver } from '../lib/dns/resolver.ts'
import { addressList } from '../lib/policies/lists/address-list.ts'
import { clientList } from '../lib/policies/lists/client-list.ts'
import { liveList } from '../lib/policies/lists/list-source.ts'
import {
  allowClients,
  allowSenders,
  allowTriples,
  denyClients,
  denyRecipients,
  denySenders,
} from '../lib/policies/lists/lists.ts'
import { parseMailbox, NULL_MAILBOX } from '../lib/protocol/addresses/mailbox.ts'
import { networks } from '../lib/protocol/networks/network.ts'
import type { Session } from '../lib/smtp/session.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { converse } from '../lib/testing/conversation.ts'
import { settle } from './fixtures/fake-clock.ts'
import { World } from './fixtures/greylisting.ts'

const HELD = '451'
const PASSED = '250 354 250'

function mailbox(address: string) {
  const parsed = parseMailbox(address, { utf8: true, strictness: 'lenient' })
  if (!parsed.ok) throw new Error(address)
  return parsed.mailbox
}

t.test('lists of addresses', t => {
  const list = addressList('l', ['example.org', '.below.example', 'Anna@one.example', 'abuse@', '<>', 'bücher.example'])
  const yes = ['x@Example.ORG', 'x@a.b.below.example', 'ANNA@one.example', '"anna"@one.example', 'Abuse@any.example']
  for (const each of [...yes, 'x@xn--bcher-kva.example']) t.ok(list.has(mailbox(each)), each)
  for (const each of ['x@sub.example.org', 'x@below.example', 'bob@one.example', 'x@notexample.org']) {
    t.notOk(list.has(mailbox(each)), each)
  }
  t.ok(list.has(NULL_MAILBOX))
  t.notOk(addressList('l', ['example.org']).has(NULL_MAILBOX))
  for (const bad of ['', 'a b', '@', '.', 'a..b', '*', 'a@b@c']) {
    t.throws(
      () => addressList('senders', [bad]),
      { code: 'ERR_OPTION', message: /^senders: ".*" is not a domain/ },
      bad,
    )
  }
  t.end()
})

t.test('lists of clients: networks, not prefixes of text (defect 14), and names', t => {
  const list = clientList('l', [
    '192.168.2.0/24',
    '10.0.0.0/8',
    '2001:db8::1',
    'mx.example.org',
    '*.pool.example',
    '.dots.example',
  ])
  for (const each of ['192.168.2.7', '::ffff:192.168.2.7', '10.255.0.1', '2001:DB8::1'])
    t.ok(list.hasAddress(each), each)
  for (const each of ['192.168.20.7', '100.1.2.3', '2001:db8::2', null, 'x'])
    t.notOk(list.hasAddress(each), String(each))
  for (const each of ['mx.example.org', 'MX.Example.ORG', 'a.b.pool.example', 'x.dots.example'])
    t.ok(list.hasName(each), each)
  for (const each of ['x.mx.example.org', 'pool.example', 'dots.example', 'notpool.example', null])
    t.notOk(list.hasName(each))
  for (const bad of [
    '192.168.2',
    '10',
    '300.1.1.1',
    '10.0.0.1/8',
    '::1/129',
    'a b',
    '*',
    '',
    '*.*.example',
    'mx.*.example',
  ]) {
    t.throws(() => clientList('l', [bad]), { code: 'ERR_OPTION' }, bad)
  }
  t.end()
})

t.test('allowClients trusts by address and by confirmed name', async t => {
  const before = [allowClients(['192.0.2.0/24', '*.example.net'])]
  const world = new World({ before })
  t.equal(await world.codes({ client: '192.0.2.9' }), PASSED)
  t.equal(await world.codes({ client: '::ffff:192.0.2.9' }), PASSED)
  t.equal(await world.codes({ client: '192.0.20.9' }), HELD)
  t.equal(await world.codes({ client: '198.51.100.1', name: 'mx.example.net' }), PASSED)
  t.equal(await world.codes({ client: '198.51.100.1', name: 'mx.example.com' }), HELD)
  t.equal(await world.codes({ client: '203.0.113.1', helo: 'mx.example.net' }), HELD, 'a HELO name is not confirmed')
})

const dns = (names: Readonly<Record<string, readonly string[]>>): DnsResolver => ({
  resolve: (name: string) =>
    Promise.resolve(name in names ? { kind: 'found', records: names[name] } : { kind: 'none' }) as never,
  close() {},
})

t.test('names are looked up with a resolver, and have to point back', async t => {
  const resolver = dns({
    '7.2.0.192.in-addr.arpa': ['mx.example.net'],
    '8.2.0.192.in-addr.arpa': ['mx.example.net'],
    'mx.example.net': ['192.0.2.7'],
  })
  const world = new World({ before: [allowClients(['mx.example.net'], { resolver })] })
  t.equal(await world.codes({ client: '192.0.2.7' }), PASSED)
  t.equal(await world.codes({ client: '192.0.2.8' }), HELD, 'a forged PTR')
  const denying = new World({ before: [denyClients(['mx.example.net'], { resolver })] })
  t.equal(await denying.codes({ client: '192.0.2.7' }), '550')
})

t.test('denyClients: 554 in the place of the greeting, 550 by name; not whom allowClients trusts', async t => {
  const connect = async (address: string, policies = [denyClients(['192.0.2.0/24'])]): Promise<number> => {
    const c = converse(new SmtpHandler({ client: { address, port: 1 }, policies, onMessage() {} }))
    const { code } = await c.expect()
    await c.command('QUIT')
    await c.closed()
    return code
  }
  t.equal(await connect('192.0.2.1'), 554)
  t.equal(await connect('192.0.3.1'), 220)
  t.equal(await connect('192.0.2.1', [allowClients(['192.0.2.1']), denyClients(['192.0.2.0/24'])]), 220)
  const world = new World({ before: [denyClients(['*.bad.example'])] })
  t.equal(await world.codes({ name: 'x.bad.example' }), '550')
  t.equal(await world.codes({ name: 'x.good.example' }), HELD)
})

t.test('senders and recipients', async t => {
  t.equal(await new World({ before: [allowSenders(['example.net'])] }).codes(), PASSED)
  t.equal(await new World({ before: [allowSenders(['example.com'])] }).codes(), HELD)
  const closed = new World({ before: [denyRecipients(['all@example.org'])] })
  t.equal(await closed.codes({ to: ['all@example.org', 'bob@example.org'] }), '550 451')
  const policies = [denySenders(['bad.example', '<>'])]
  const c = converse(new SmtpHandler({ policies, onMessage() {} }))
  await c.expect(220)
  await c.command('EHLO x.example', 250)
  await c.command('MAIL FROM:<a@bad.example>', 550)
  await c.command('MAIL FROM:<>', 550)
  await c.command('MAIL FROM:<a@good.example>', 250)
  await c.command('QUIT', 221)
  await c.closed()
})

t.test('triples and non-standard triples, for the one recipient alone', async t => {
  const before = [
    allowTriples({
      triples: ['192.0.2.7 anna@example.net bob@example.org', '198.51.100.0/24 <> *'],
      nonstandard: ['*.facebook.example 66.220.0.0/16 bob@example.org'],
    }),
  ]
  const world = new World({ before })
  t.equal(await world.codes({ to: ['bob@example.org', 'carl@example.org'] }), '250 451 354 250')
  t.equal(await world.codes({ client: '192.0.2.8' }), HELD)
  t.equal(await world.codes({ sender: 'eve@example.net' }), HELD)
  t.equal(await world.codes({ client: '198.51.100.4', sender: '' }), PASSED)
  const outmail = { client: '66.220.144.1', sender: 'n+1@facebook.example', helo: 'outmail001.facebook.example' }
  t.equal(await world.codes(outmail), PASSED)
  t.equal(await world.codes({ ...outmail, helo: 'other.example' }), HELD)
  t.equal(await world.codes({ ...outmail, client: '66.221.0.1' }), HELD)
  for (const bad of ['192.0.2.7 anna@example.net', 'a b c d', '192.0.2 a@b.example c@d.example']) {
    t.throws(() => allowTriples({ triples: [bad] }), { code: 'ERR_OPTION' }, bad)
  }
  t.throws(() => allowTriples({ triple: [] } as never), /did you mean triples/)
})

// ── Files ──

const until = async (test: () => boolean): Promise<void> => {
  for (let i = 0; i < 800 && !test(); i++) await new Promise(resolve => setTimeout(resolve, 25))
}

t.test('a file is watched and swapped whole; a bad one changes nothing, and says line and reason', async t => {
  const file = join(t.testdir(), 'clients')
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  put('# ours\r\n192.0.2.0/24   # the office\n\n')
  const told: (string | null)[] = []
  const onChange = (problem: Error | null): void => void told.push(problem?.message ?? null)
  const list = liveList('allowClients', { file, interval: 20, onChange }, networks)
  t.teardown(() => list.close())
  t.ok(list.current.has('192.0.2.1'))

  put('198.51.100.0/24\n')
  await until(() => told.length === 1)
  t.strictSame(told, [null])
  t.ok(list.current.has('198.51.100.1'))
  t.notOk(list.current.has('192.0.2.1'), 'swapped, not added')

  put('203.0.113.0/24\n\n10.0.0/8\n')
  await until(() => told.length === 2)
  t.equal(told[1], `${file}:3: network "10.0.0/8": not an IP address, as in 192.0.2.0/24 or 2001:db8::/32`)
  t.ok(list.current.has('198.51.100.1'))
  t.notOk(list.current.has('203.0.113.1'))

  rmSync(file)
  await until(() => told.length === 3)
  t.equal(told[2], `${file}: cannot be read: ENOENT`)
  t.ok(list.current.has('198.51.100.1'))

  put('203.0.113.0/24\n')
  await until(() => told.length === 4)
  t.equal(told[3], null)
  t.ok(list.current.has('203.0.113.1'))
})

t.test('a file that is written in place is not taken before it is whole', async t => {
  const file = join(t.testdir({ clients: '192.0.2.1\n192.0.2.2\n' }), 'clients')
  const calls = { now: 0 }
  const { stat, readFile } = fs
  const counted =
    <Call extends (...args: never[]) => Promise<unknown>>(call: Call) =>
    async (...args: Parameters<Call>): Promise<unknown> => {
      calls.now += 1
      return call(...args).finally(() => (calls.now -= 1))
    }
  const put = (functions: object): void => {
    Object.assign(fs, functions)
    syncBuiltinESMExports()
  }
  put({ stat: counted(stat), readFile: counted(readFile) })
  t.teardown(() => put({ stat, readFile }))
  const usual = globalThis.setInterval
  let look = (): void => {}
  globalThis.setInterval = ((callback: () => void) => {
    look = callback
    return usual(() => {}, 60_000)
  }) as never
  const seen: (readonly boolean[])[] = []
  const onChange = (): void =>
    void seen.push(['192.0.2.1', '192.0.2.2', '192.0.2.3'].map(each => list.current.has(each)))
  const list = liveList('allowClients', { file, onChange }, networks)
  globalThis.setInterval = usual
  t.teardown(() => list.close())
  for (const half of ['', '192.0.2.1\n192.0.2.2\n', '192.0.2.1\n192.0.2.2\n192.0.2.3\n']) {
    writeFileSync(file, half)
    look()
    do await settle(4)
    while (calls.now > 0) // it reads meanwhile
  }
  await until(() => {
    look()
    return seen.length > 0
  })
  t.strictSame(seen, [[true, true, true]])
})

t.test('every policy takes a file; what is wrong at the start is ERR_OPTION', async t => {
  const dir = t.testdir({
    clients: '192.0.2.0/24',
    senders: 'example.net',
    triples: '* * bob@example.org',
    bad: 'x\na b\n',
  })
  const at = (name: string) => ({ file: join(dir, name), interval: 60_000 })
  const policies = [allowClients(at('clients')), allowSenders(at('senders')), allowTriples({ triples: at('triples') })]
  for (const policy of policies) {
    t.equal(await new World({ before: [policy] }).codes(), PASSED, policy.name)
    policy.close()
  }
  t.equal(await new World({ recipients: { except: at('senders') } }).codes({ to: ['x@example.net'] }), PASSED)
  const bad: [() => unknown, RegExp][] = [
    [() => denyClients(at('none')), /none: cannot be read: ENOENT/],
    [() => denySenders(at('bad')), /bad:2: denySenders: "a b" is not a domain/],
    [() => denyRecipients({ file: '' }), /denyRecipients\.file is a path/],
    [() => denyRecipients({ file: 'x', intervall: 1 } as never), /did you mean interval/],
    [() => denyRecipients({ ...at('senders'), interval: 0 }), /interval is a number/],
    [() => denyRecipients('example.org'), /denyRecipients is a list, not "example.org"/],
  ]
  for (const [make, message] of bad) t.throws(make, { code: 'ERR_OPTION', message }, String(message))
})

t.test('a name that a policy set is used, and the reason is on the session', async t => {
  let session: Session | null = null
  const look = { onRcptTo: (_: unknown, given: Session) => void (session = given) }
  await new World({ before: [allowClients(['mx.example.net']), look] }).send({ name: 'mx.example.net' })
  t.equal((session as Session | null)?.trusted, 'allowClients')
})
