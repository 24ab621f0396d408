// Postfix, Exim and OpenSMTPD in front at the same time: their queues deliver through relay() to Postfix, and to Dovecot
// by LMTP. What the upstream defers stays in their queues.

import t from 'tap'
import { AWKWARD_MAIL } from './fixtures/awkward-mail.ts'
import { missingPrograms } from './fixtures/clients.ts'
import { eventually } from './fixtures/daemon.ts'
import { startDovecot } from './fixtures/dovecot.ts'
import { freePort } from './fixtures/free-port.ts'
import { startGate } from './fixtures/gate.ts'
import { startMailboxes } from './fixtures/mailboxes.ts'
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

t.test(
  '200 recipients from Postfix at its default backoffs: some mailboxes are full, and one connection is lost',
  { skip: missingPrograms('postfix-master'), buffered: true },
  async t => {
    const users = Array.from({ length: 200 }, (_, i) => `bob-${i}@clear.example`)
    const full = new Set(users.filter((_, i) => i % 20 === 7))
    let isLost = false
    const mailboxes = await startMailboxes(t, user => {
      if (full.has(user)) return 'full'
      if (isLost || user !== 'bob-30@clear.example') return 'takes'
      isLost = true
      return 'lost'
    })
    const gate = await startGate(t, { path: mailboxes.path, lmtp: true })
    const front = await startPostfix(t, {
      minimal_backoff_time: '300s',
      maximal_backoff_time: '4000s',
      queue_run_delay: '300s',
      default_transport: `smtp:[127.0.0.1]:${gate}`,
    })
    await submit(front.port, users, AWKWARD_MAIL)
    let rounds = 1
    const hasTried = (): boolean =>
      (front.log().match(/ removed$/m) ?? []).length > 0 ||
      (front.queued('deferred') === 1 && front.queued('active') + front.queued('incoming') === 0)
    const left = (): number => users.length - mailboxes.copies.size
    const transactions: number[] = []
    const mails = (): number => mailboxes.upstream.verbs.filter(verb => verb === 'MAIL').length
    for (; rounds <= 10; rounds++) {
      await eventually(hasTried, () => `no verdict: ${front.log()}`)
      transactions.push(mails())
      if (left() === full.size) full.clear() // the users have tidied up
      if (left() === 0) break
      front.flush()
      await eventually(() => mails() > transactions.at(-1)! || front.queued('active') > 0 , () => `no round: ${front.log()}`) // prettier-ignore
    }
    t.equal(left(), 0, 'each has it')
    t.ok(
      [...mailboxes.copies.values()].every(copies => copies === 1),
      'each once',
    )
    // All; without the full ones; those without a verdict; without the full ones again; the full ones.
    t.strictSame(transactions, [4, 8, 9, 10, 11], 'five rounds')
  },
)
