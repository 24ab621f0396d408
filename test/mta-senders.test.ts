// Other people's mail servers as senders: each takes mails into its queue, and delivers them to a server with the default
// options of createServer() and SmtpHandler.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { AWKWARD_MAIL } from './fixtures/awkward-mail.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { missingPrograms } from './fixtures/clients.ts'
import { checkTable } from './fixtures/doc-table.ts'
import { eventually } from './fixtures/daemon.ts'
import { startReceiver, type Arrival, type Receiver } from './fixtures/receiver.ts'
import { MTAS, type Sender } from './fixtures/sending-mtas.ts'
import { recordSessions } from './fixtures/session-record.ts'
import { submit } from './fixtures/submit.ts'

const MEGABYTES = 30

const scratch = mkdtempSync(join(tmpdir(), 'mailhandler-senders-'))
t.teardown(() => rmSync(scratch, { recursive: true, force: true }))

/** Waits for the mails for one recipient, or its domain, then a little for one too many. */
async function arrived(receiver: Receiver, whom: string, sender: Sender): Promise<Arrival[]> {
  const found = (): Arrival[] =>
    receiver.arrivals.filter(({ recipients }) => recipients.some(address => address.endsWith(whom)))
  await eventually(
    () => found().length > 0,
    () => `nothing for ${whom} arrives: ${sender.log()}`,
  )
  return found()
}

const sessions = recordSessions()
t.teardown(() => sessions.stop())
const rows = new Map<string, readonly string[]>()

/** The commands of the session that brought the first mail for this recipient, without those of later mails. */
function session(recipient: string): string {
  const { verbs, parameters } = sessions.records.find(({ recipients }) => recipients.includes(recipient))!
  const second = verbs.indexOf('MAIL', verbs.indexOf('MAIL') + 1)
  const [first, rest] = second === -1 ? [verbs, ''] : [verbs.slice(0, second), ' …']
  const mail = parameters === '' ? 'MAIL' : `MAIL (${parameters.replaceAll(/\d{4,}/g, '…')})`
  return first.join(' ').replace('MAIL', mail) + rest
}

t.jobs = 3
const done = Object.entries(MTAS).map(([name, mta]) =>
  t.test(name, { skip: missingPrograms('openssl', ...mta.programs), buffered: true }, async t => {
    const bob = name.toLowerCase()
    const folder = join(scratch, bob)
    mkdirSync(folder)
    const certificate = makeCertificate(folder)
    const clear = await startReceiver(
      t,
      {},
      (address, refusals) => address.endsWith('@later.example') && refusals === 0,
    )
    const tls = await startReceiver(t, { tls: { key: certificate.key, cert: certificate.cert } })
    const sender = await mta.start(t, clear.port, tls.port)

    const asSent = (t: Test, mails: readonly Arrival[], mail: Buffer, what: string): void => {
      t.equal(mails.length, 1, `${what}: arrives once`)
      const got = mails[0]!.mail
      t.ok(got.subarray(-mail.length).equals(mail), `${what}: octet for octet`)
      t.match(got.subarray(0, -mail.length).toString('latin1'), mta.adds, `${what}: what is added`)
    }

    await t.test('in clear', async t => {
      await submit(sender.port, [`${bob}@clear.example`], AWKWARD_MAIL)
      asSent(t, await arrived(clear, `${bob}@clear.example`, sender), AWKWARD_MAIL, 'a mail')
    })

    await t.test('is told 450 at first, and tries again', async t => {
      await submit(sender.port, ['bob@later.example'], AWKWARD_MAIL)
      await eventually(
        () => clear.refusals === 1,
        () => `it has not tried: ${sender.log()}`,
      )
      t.notOk(
        clear.arrivals.some(({ recipients }) => recipients.includes('bob@later.example')),
        'nothing has arrived yet',
      )
      // Again and again: the first time it may not have put the mail back into its queue yet.
      const retrying = setInterval(() => sender.retry?.(), 500)
      t.teardown(() => clearInterval(retrying))
      asSent(t, await arrived(clear, 'bob@later.example', sender), AWKWARD_MAIL, 'a mail')
    })

    await t.test('by STARTTLS', async t => {
      await submit(sender.port, [`${bob}@tls.example`], AWKWARD_MAIL)
      const mails = await arrived(tls, `${bob}@tls.example`, sender)
      asSent(t, mails, AWKWARD_MAIL, 'a mail')
      t.equal(mails[0]?.tls, 'TLSv1.3')
      t.match(session(`${bob}@tls.example`), /^EHLO STARTTLS EHLO MAIL/)
    })

    await t.test('200 recipients', async t => {
      const recipients = Array.from({ length: 200 }, (_, i) => `bob-${i}@many.example`)
      await submit(sender.port, recipients, AWKWARD_MAIL)
      const mails = (): Arrival[] =>
        clear.arrivals.filter(({ recipients: [first] }) => first?.endsWith('@many.example'))
      const reached = (): string[] => mails().flatMap(({ recipients }) => recipients)
      await eventually(
        () => reached().length >= 200,
        () => `${reached().length} of 200 recipients: ${sender.log()}`,
      )
      t.strictSame(reached().toSorted(), recipients.toSorted(), 'each once')
      t.equal(mails().length, mta.transactions, 'transactions')
      t.ok(
        mails().every(({ mail }) => mail.subarray(-AWKWARD_MAIL.length).equals(AWKWARD_MAIL)),
        'octet for octet',
      )
    })

    await t.test(`${MEGABYTES} MB`, async t => {
      const header = Buffer.from(
        'From: <anna@client.test>\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\nMessage-ID: <2@client.test>\r\n\r\n',
      )
      const line = Buffer.from(`.${'x'.repeat(75)}.\r\n`)
      const mail = Buffer.concat([
        header,
        Buffer.alloc(Math.floor((MEGABYTES * 1e6) / line.length) * line.length, line),
      ])
      await submit(sender.port, ['bob@large.example'], mail)
      asSent(t, await arrived(clear, 'bob@large.example', sender), mail, 'a large mail')
    })

    await t.test('SMTPUTF8', { skip: mta.smtputf8 ? false : 'it has none' }, async t => {
      const mail = Buffer.from(
        'From: <anna@client.test>\r\nSubject: Blåbær\r\nMessage-ID: <3@client.test>\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\n\r\nBlåbær\r\n',
      )
      await submit(sender.port, ['bjørn@blåbær.example'], mail)
      asSent(t, await arrived(clear, 'bjørn@blåbær.example', sender), mail, 'a mail')
    })

    const expected = 4 + mta.transactions + (mta.smtputf8 ? 1 : 0)
    t.equal(clear.arrivals.length + tls.arrivals.length, expected, 'nothing arrives twice')
    const transactions = `${mta.transactions} transaction${mta.transactions === 1 ? '' : 's'}`
    rows.set(name, [name, session(`${bob}@clear.example`), transactions, mta.again, mta.smtputf8 ? 'yes' : 'no'])
  }),
)

await Promise.all(done)
t.test('docs/clients.md says so', t => {
  const head = ['server', 'the session', '200 recipients', 'tries again after 450', 'SMTPUTF8']
  const seen = Object.keys(MTAS).flatMap(name => [rows.get(name) ?? []].filter(row => row.length > 0))
  checkTable(t, 'docs/clients.md', 'servers', head, seen)
  t.end()
})
