// Postfix, Exim and OpenSMTPD in front at the same time: their queues deliver through relay() to Postfix, and to Dovecot
// by LMTP. What the upstream defers stays in their queues.

import t from 'tap'
import { AWKWARD_MAIL } from './fixtures/awkward-mail.ts'
import { missingPrograms } from './fixtures/clients.ts'
import { eventually } from './fixtures/daemon.ts'
import { startDovecot } from './fixtures/dovecot.ts'
import { freePort } from './fixtures/free-port.ts'
import { startGate } from './fixtures/gate.ts'
import { startPostfix } from './fixtures/postfix.ts'
import { startReceiver, type Arrival } from './fixtures/receiver.ts'
import { MTAS } from './fixtures/sending-mtas.ts'
import { submit } from './fixtures/submit.ts'

t.jobs = 2

const MAILS = 10

t.test(
  'three queues in front of Postfix',
  { skip: missingPrograms('postfix-master', 'exim4', 'opensmtpd'), buffered: true },
  async t => {
    const behind = await startReceiver(t)
    const upstream = await startPostfix(t, {
      smtpd_authorized_xclient_hosts: '127.0.0.1',
      relay_domains: 'clear.example',
      mynetworks: '',
      smtpd_relay_restrictions: 'reject_unauth_destination',
      relay_transport: `smtp:[127.0.0.1]:${behind.port}`,
    })
    const gate = await startGate(t, { host: '127.0.0.1', port: upstream.port })
    const senders = await Promise.all(
      Object.entries(MTAS).map(async ([name, mta]) => ({ name, mta: await mta.start(t, gate, await freePort()) })),
    )

    const sent: string[] = []
    await Promise.all(
      senders.map(async ({ name, mta }) => {
        for (let i = 0; i < MAILS; i++) {
          const recipient = `${name}-${i}@clear.example`.toLowerCase()
          sent.push(recipient)
          await submit(mta.port, [recipient], AWKWARD_MAIL)
        }
      }),
    )
    const arrived = (): string[] => behind.arrivals.flatMap(({ recipients }) => recipients)
    await eventually(
      () => arrived().length >= sent.length,
      () => `${arrived().length} of ${sent.length} arrive: ${upstream.log()}`,
    )
    t.strictSame(arrived().toSorted(), sent.toSorted(), 'each once')
    const whole = ({ mail }: Arrival): boolean => mail.subarray(-AWKWARD_MAIL.length).equals(AWKWARD_MAIL)
    t.ok(behind.arrivals.every(whole), 'octet for octet')
    for (const helo of ['postfix.test', 'exim.test', 'opensmtpd.test']) {
      const received = new RegExp(`^Received: from ${helo.replace('.', '\\.')} \\(unknown \\[127`, 'm')
      t.equal(
        behind.arrivals.filter(({ mail }) => received.test(mail.toString('latin1'))).length,
        MAILS,
        `from ${helo}`,
      )
    }
  },
)

t.test(
  '200 recipients from Postfix to Dovecot',
  { skip: missingPrograms('postfix-master', 'dovecot'), buffered: true },
  async t => {
    const users = Array.from({ length: 200 }, (_, i) => `bob-${i}@clear.example`)
    const dovecot = await startDovecot(t, users)
    const gate = await startGate(t, { path: dovecot.path, lmtp: true })
    const front = await MTAS['Postfix']!.start(t, gate, await freePort())
    await submit(front.port, users, AWKWARD_MAIL)
    const stored = (): number => users.filter(user => dovecot.mails(user).length > 0).length
    await eventually(
      () => stored() === users.length,
      () => `${stored()} of 200 have it: ${front.log()} ${dovecot.log()}`,
    )
    const mails = users.map(user => dovecot.mails(user))
    t.ok(
      mails.every(({ length }) => length === 1),
      'each once',
    )
    t.ok(
      mails.flat().every(mail => mail.subarray(-AWKWARD_MAIL.length).equals(AWKWARD_MAIL)),
      'octet for octet',
    )
  },
)
