// Mail libraries of other languages, each in a small program, send to a server with the default options of createServer()
// and SmtpHandler: an awkward mail octet for octet, in clear and by STARTTLS; a text that has bare LF; a recipient whose
// name is not ASCII.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { AWKWARD_MAIL } from './fixtures/awkward-mail.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { missingPrograms, notHere } from './fixtures/clients.ts'
import { checkTable } from './fixtures/doc-table.ts'
import { LIBRARIES, runSender, type Sent } from './fixtures/mail-libraries.ts'
import { startReceiver, type Arrival } from './fixtures/receiver.ts'

/** Lines that end with LF, dots behind it, a CR alone, Latin-1; no line end at the end. */
const HEADER = `From: <anna@client.test>\r\nTo: <bob@mx.example>\r\nSubject: rough
Message-ID: <1@client.test>\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r
Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n`.replaceAll(
  /(?<!\r)\n/g,
  '\r\n',
)
const ROUGH = Buffer.from(`${HEADER}.after CRLF\r\nLF\n.after LF\n..two after LF\r\nCR\ralone\r\n\xe5\xff`, 'latin1')

/** What of it is on the wire, as the text of docs/clients.md puts it. */
const WIRE: ReadonlyMap<string, RegExp> = new Map([
  ['LF', /\r\nLF\r\n/],
  ['dots', /\r\n\.\.after CRLF\r\nLF\r?\n\.\.after LF\r?\n\.\.\.two after LF\r\n/],
  ['CR', /\r\nCR\ralone\r\n/],
  ['Latin-1', /\r\n\xe5\xff(?:\r\n)+\.\r\n/],
])

/** What arrives of it: stray CR is taken for a line end, or a space where the sender leaves it. */
const ARRIVES = /\r\n\.after CRLF\r\nLF\r\n\.after LF\r\n\.\.two after LF\r\nCR(?:\r\n| )alone\r\n\xe5\xff(?:\r\n)+$/

const scratch = mkdtempSync(join(tmpdir(), 'mailhandler-libraries-'))
t.teardown(() => rmSync(scratch, { recursive: true, force: true }))
const rows = new Map<string, readonly string[]>()

/** The commands, without the mail data: `EHLO MAIL (BODY=8BITMIME) RCPT DATA QUIT`. */
function session(wire: Buffer): string {
  const text = wire.toString('latin1').replace(/(?<=\r\nDATA\r\n)[^]*\r\n\.\r\n/, '')
  return text
    .trimEnd()
    .split('\r\n')
    .map(line => {
      const [verb, , , ...parameters] = line.split(/[ :]/)
      if (verb !== 'MAIL' || parameters.length === 0) return verb
      return `MAIL (${parameters.join(' ').replaceAll(/=\d+\b/g, '=…')})`
    })
    .join(' ')
}

t.jobs = LIBRARIES.length
const done = LIBRARIES.map((library, i) => {
  const skip = missingPrograms('openssl') || notHere(library.missing())
  return t.test(library.name, { skip, buffered: true }, async t => {
    const folder = join(scratch, String(i))
    mkdirSync(folder)
    const certificate = makeCertificate(folder)
    const clear = await startReceiver(t)
    const tls = await startReceiver(t, { tls: { key: certificate.key, cert: certificate.cert } })
    const command = library.prepare(folder)
    const send = (layer: 'clear' | 'starttls', recipient: string, mail: Buffer): Promise<Sent> => {
      const file = join(folder, 'mail.eml')
      writeFileSync(file, mail)
      const { port } = layer === 'clear' ? clear : tls
      return runSender(command, [String(port), layer, certificate.file, 'anna@client.test', recipient, file])
    }
    const asSent = (t: Test, { code, printed, errors }: Sent, arrivals: readonly Arrival[]): void => {
      t.equal(code, 0, errors)
      t.equal(arrivals.length, 1, 'arrives once')
      const got = arrivals[0]?.mail ?? Buffer.alloc(0)
      const sent = library.composes ? printed : AWKWARD_MAIL
      t.ok(got.equals(sent) || got.equals(Buffer.concat([sent, Buffer.from('\r\n')])), 'octet for octet')
      t.ok(got.includes(AWKWARD_MAIL.subarray(AWKWARD_MAIL.indexOf('\r\n\r\n'))), 'the body')
    }

    await t.test('in clear', async t => {
      asSent(t, await send('clear', 'bob@mx.example', AWKWARD_MAIL), clear.arrivals)
    })

    await t.test('by STARTTLS', async t => {
      asSent(t, await send('starttls', 'bob@mx.example', AWKWARD_MAIL), tls.arrivals)
      t.match(tls.arrivals[0]?.tls, /^TLSv1\.[23]$/)
    })

    const wires: string[] = []
    await t.test('bare LF, dots, CR, Latin-1', async t => {
      const { code, errors } = await send('clear', 'bob@mx.example', ROUGH)
      t.equal(code, 0, errors)
      wires.push(clear.wires.at(-1)!.toString('latin1'))
      t.match(clear.arrivals.at(-1)?.mail.toString('latin1'), ARRIVES)
      t.match(wires[0], WIRE.get('LF')!, 'it makes LF CRLF')
      t.match(wires[0], WIRE.get('dots')!, 'it stuffs dots')
      t.match(wires[0], WIRE.get('Latin-1')!, 'it sends the octets as they are')
    })

    let utf8 = ''
    await t.test('a recipient beyond ASCII', async t => {
      const [arrivals, connections] = [clear.arrivals.length, clear.wires.length]
      const { code, errors } = await send('clear', 'bjørn@mx.example', AWKWARD_MAIL)
      const connected = clear.wires.slice(connections).some(wire => wire.includes('RCPT'))
      if (code === 0) {
        t.strictSame(clear.arrivals.slice(arrivals)[0]?.recipients, ['bjørn@mx.example'], errors)
        utf8 = 'arrives, by SMTPUTF8'
      } else {
        t.equal(clear.arrivals.length, arrivals, 'nothing arrives')
        if (connected) t.match(errors, '553 5.6.7', 'told what it needs')
        utf8 = connected ? 'sent without SMTPUTF8: 553 5.6.7' : 'refused by the library'
      }
    })

    const cr = WIRE.get('CR')!.test(wires[0] ?? '') ? 'CR, arrives as a space' : 'CRLF'
    rows.set(library.name, [library.name, session(clear.wires[0]!), cr, utf8])
  })
})

await Promise.all(done)
t.test('docs/clients.md says so', t => {
  const head = ['library', 'the session', 'a CR alone is sent as', 'a recipient beyond ASCII']
  const seen = LIBRARIES.flatMap(({ name }) => [rows.get(name) ?? []].filter(row => row.length > 0))
  checkTable(t, 'docs/clients.md', 'libraries', head, seen)
  t.end()
})
