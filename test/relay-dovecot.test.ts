// relay() in front of Dovecot, which takes mail by LMTP on a unix socket.

import t from 'tap'
import { AWKWARD_MAIL } from './fixtures/awkward-mail.ts'
import { missingPrograms } from './fixtures/clients.ts'
import { eventually } from './fixtures/daemon.ts'
import { startDovecot } from './fixtures/dovecot.ts'
import { freePort } from './fixtures/free-port.ts'
import { passesMail, startGate, XCLIENT } from './fixtures/gate.ts'
import { MTAS } from './fixtures/sending-mtas.ts'
import { submit } from './fixtures/submit.ts'

const USERS = ['bob', ...Array.from({ length: 200 }, (_, i) => `many-${i}`)].map(name => `${name}@mx.example`)

t.test('Dovecot', { skip: missingPrograms('dovecot') }, async t => {
  const dovecot = await startDovecot(t, USERS)
  const port = await startGate(t, { path: dovecot.path, lmtp: true })
  await passesMail(t, {
    port,
    delivered: () => USERS.flatMap(user => dovecot.mails(user).map(mail => ({ recipients: [user], mail }))),
    adds: /^Return-Path: <anna@client\.test>\r\nDelivered-To: [^\r]*\r\nReceived: [^\r]*\r\n(?:\t[^\r]*\r\n)*$/,
    unknown: /^550 5\.1\.1 <nobody@mx\.example> User doesn't exist: nobody@mx\.example$/,
    taken: /^250 2\.0\.0 <bob@mx\.example> \S+ Saved$/,
    smtputf8: false,
    log: () => dovecot.log(),
  })
})

t.test('the true client, by XCLIENT over TCP', { skip: missingPrograms('dovecot') }, async t => {
  const dovecot = await startDovecot(t, ['bob@mx.example'])
  const gate = await startGate(t, { host: '127.0.0.1', port: dovecot.port, lmtp: true })
  await submit(gate, ['bob@mx.example'], AWKWARD_MAIL, { xclient: XCLIENT })
  await submit(gate, ['bob@mx.example'], AWKWARD_MAIL)
  const received = dovecot
    .mails('bob@mx.example')
    .map(mail => /^Received: from ([^\r]*)/m.exec(mail.toString('latin1'))?.[1] ?? '')
  t.strictSame(received.toSorted(), ['client.test ([127.0.0.1])', 'helo.client.example ([192.0.2.7])'])
})

t.test('one full mailbox among three', { skip: missingPrograms('dovecot', 'postfix-master') }, async t => {
  const users = ['anna', 'bob', 'full'].map(name => `${name}@clear.example`)
  const dovecot = await startDovecot(t, users, new Set(['full@clear.example']))
  const gate = await startGate(t, { path: dovecot.path, lmtp: true })
  const postfix = await MTAS['Postfix']!.start(t, gate, await freePort())
  await submit(postfix.port, users, AWKWARD_MAIL)
  const tries = (status: RegExp): number =>
    postfix
      .log()
      .split('\n')
      .filter(line => status.test(line)).length
  await eventually(
    () => tries(/status=sent/) >= 2 && tries(/status=bounced/) >= 1,
    () => postfix.log(),
  )
  t.equal(tries(/status=deferred .*451 4\.2\.0/), 3, 'at first all three are told to come again')
  t.match(postfix.log(), /to=<full@clear\.example>.* status=bounced .*552 5\.2\.2 .*Quota exceeded/, "Dovecot's words")
  t.strictSame(
    users.map(user => dovecot.mails(user).length),
    [1, 1, 0],
    'no copy is delivered twice',
  )
})
