// Rules of misbehaviour as JSON, and the options of `mailhandler catch`.

import { join } from 'node:path'
import t from 'tap'
import { readCatchOptions } from '../lib/cli/catch/catch-options.ts'
import { readRules } from '../lib/cli/catch/rule-json.ts'
import { readCommandLine } from '../lib/cli/command-line.ts'
import { SmtpHandler } from '../lib/index.ts'
import { converse } from '../lib/testing/index.ts'

t.test('rules that are right', async t => {
  t.equal(readRules([]).policy, null)
  const json = [
    { at: 'RCPT', when: { recipient: '/^full@/I'.replace('I', 'i') }, reply: '452 4.2.2 Mailbox full' },
    { at: 'RCPT', when: { recipient: 'none@example.org' }, reply: '550 No such user' },
    { at: 'NOOP', reply: '450' },
  ]
  const { rules, policy } = readRules(json)
  t.strictSame(rules, json)
  const c = converse(new SmtpHandler({ policies: [policy!], onMessage() {} }))
  await c.expect(220)
  await c.command('EHLO client.example', 250)
  await c.command('MAIL FROM:<a@example.org>', 250)
  await c.command('RCPT TO:<FULL@example.org>', '452 4.2.2 Mailbox full')
  await c.command('RCPT TO:<none@example.org>', '550 No such user')
  await c.command('RCPT TO:<other@example.org>', 250)
  await c.command('NOOP', 450)
  c.reset()
})

t.test('rules that are wrong', t => {
  const wrong: [unknown, RegExp][] = [
    [undefined, /^rules is a list, not undefined; the whole is \{"rules": \[\{"at": "RCPT", /],
    [{}, /^rules is a list, not an object; /],
    [Array.from({ length: 101 }, () => ({})), /^rules has at most 100 entries$/],
    [[null], /^rules\[0\] is an object, not null$/],
    [['x'], /^rules\[0\] is an object, not "x"$/],
    [[{ at: 'RCPT' }], /^rules\[0\] has no reply/],
    [[{ at: 'RCPT', reply: 452 }], /^rules\[0\]\.reply is a line such as/],
    [[{ at: 'RCPT', reply: '99 x' }], /^rules\[0\]\.reply is a line such as/],
    [[{ at: 'RCPT', reply: '452 4.2.2 a\tb\u0000' }], /^rules\[0\]\.reply: /],
    [[{ at: 'RCPT', reply: '452 x', when: 'x' }], /^rules\[0\]\.when is an object/],
    [[{ at: 'RCPT', reply: '452 x', when: { recipient: '/(/' } }], /^rules\[0\]\.when\.recipient: /],
    [[{ at: 'RCPT', reply: '452 x', when: { recipient: 1 } }], /^rules\[0\]\.when\.recipient is a string/],
    [
      [{ at: 'RCPT', reply: '452 x', cutt: 1 }],
      /^rules\[0\]\.cutt: there is no such field, only at, when, nth, afterOctets, delay, reply, cut; did you mean cut\?$/,
    ],
    [[{ at: 'RCTP', cut: true }], /^rules\[0\]\.at is one of greeting, command, body, verdict, .*, not "RCTP"$/],
    [[{ at: 'RCPT', cut: 'drop' }], /^rules\[0\]\.cut is true, 'reset' or 'close', not "drop"$/],
    [
      [{ at: 'RCPT', cut: true, when: { to: 'a' } }],
      /^rules\[0\]\.when\.to: there is no such condition, only helo, sender, recipient$/,
    ],
  ]
  for (const [json, message] of wrong) t.throws(() => readRules(json), { code: 'ERR_OPTION', message })
  t.end()
})

const read = (...words: string[]) => readCatchOptions(readCommandLine(['catch', ...words]))

t.test('options', t => {
  const defaults = read()
  t.match(defaults, {
    folder: null,
    messages: 10_000,
    octets: 268_435_456,
    tls: null,
    hosts: [],
    rules: { policy: null },
  })
  t.strictSame(defaults.smtp, { host: '127.0.0.1', port: 1025 })
  t.strictSame(defaults.page, { host: '127.0.0.1', port: 8025 })
  const folder = t.testdir({ 'rules.json': '{"rules":[{"at":"MAIL","delay":10}]}', 'tls.pem': '-----BEGIN …' })
  const [file, pem] = [join(folder, 'rules.json'), join(folder, 'tls.pem')]
  const places = ['-l', '[::1]:25', '-p', '*:80', '--host', 'a.example', '--host', 'b.example']
  const limits = ['--folder', 'mails', '--messages', '5', '--size', '1MiB']
  const all = read(...places, ...limits, '--rules', file, '--cert', pem, '--key', pem)
  t.match(all, {
    smtp: { host: '::1', port: 25 },
    page: { host: '::', port: 80 },
    folder: join(process.cwd(), 'mails'),
    messages: 5,
    octets: 1_048_576,
    hosts: ['a.example', 'b.example'],
    rules: { rules: [{ at: 'MAIL' }] },
  })
  t.match(all.tls, { cert: /BEGIN/, key: /BEGIN/ })
  t.end()
})

t.test('options that are wrong', t => {
  const folder = t.testdir({ bad: '{', rules: '{"rules":1}', null: 'null' })
  const wrong: [string[], RegExp][] = [
    [['--listen', 'x'], /^--listen takes HOST:PORT, not "x"; such as 127\.0\.0\.1:1025$/],
    [['--page', 'systemd:web'], /^--page takes HOST:PORT/],
    [['--messages', '0'], /^--messages takes a number from 1 to 9999999, not "0"$/],
    [['--messages', 'many'], /^--messages takes a number from 1 to 9999999, not "many"$/],
    [['--size', '0'], /^--size takes/],
    [['--cert', join(folder, 'bad')], /^--cert and --key go together$/],
    [['--key', join(folder, 'bad')], /^--cert and --key go together$/],
    [['--cert', join(folder, 'none'), '--key', 'x'], /none: there is no such file$/],
    [['--cert', join(folder, 'bad'), '--key', 'x'], /bad is not PEM: it has no line that begins with -----BEGIN$/],
    [['--rules', join(folder, 'none')], /none: there is no such file$/],
    [['--rules', join(folder, 'bad')], /bad: .*JSON/],
    [['--rules', join(folder, 'rules')], /rules: rules is a list, not 1; /],
    [['--rules', join(folder, 'null')], /null: rules is a list, not undefined; /],
  ]
  for (const [words, message] of wrong) t.throws(() => read(...words), { message })
  t.end()
})
