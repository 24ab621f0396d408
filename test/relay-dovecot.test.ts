// relay() in front of Dovecot, which takes mail by LMTP on a unix socket.

import t from 'tap'
import { missingPrograms } from './fixtures/clients.ts'
import { startDovecot } from './fixtures/dovecot.ts'
import { passesMail, startGate } from './fixtures/gate.ts'

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
