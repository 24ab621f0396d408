// Other people's mail clients: each sends mail to examples/maildir and to an SmtpHandler, in clear, by STARTTLS, under TLS
// from the start, with each mechanism of AUTH that it knows; and the mail arrives octet for octet.
//
// WRITE_CLIENTS=yes writes what was seen to docs/clients.md.

import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import t from 'tap'
import {
  cramMd5,
  login,
  oauthbearer,
  plain,
  reply,
  scramSecret,
  scramSha256,
  SmtpHandler,
  xoauth2,
  type Session,
  type SmtpHandlerOptions,
} from '../lib/index.ts'
import { AWKWARD_MAIL as MAIL } from './fixtures/awkward-mail.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { client } from './fixtures/clients.ts'
import { startExample } from './fixtures/example.ts'
import { CLIENTS, PASSWORD, run, SENDER, TOKEN, USER, type ClientName, type Layer } from './fixtures/mail-clients.ts'
import { writeClientTable, type Row } from './fixtures/client-table.ts'
import { recordSessions, type SessionRecord } from './fixtures/session-record.ts'
import { until } from './fixtures/until.ts'

const AT_ONCE = 3
const WRITE = process.env['WRITE_CLIENTS'] !== undefined

/** The same, without its last line end: each client adds one. */
const UNENDED = MAIL.subarray(0, -2)

/** What comes of either. */
function arriving(name: ClientName): Buffer {
  return Buffer.concat([MAIL, Buffer.from(CLIENTS[name].adds ?? '')])
}

interface Plan {
  readonly client: ClientName
  readonly layer: Layer
  readonly auth: string | null
}

const EVERYONE: readonly ClientName[] = ['smtplib', 'curl', 'swaks', 'msmtp', 'nodemailer', 'smtp-source', 'exim']

const MECHANISMS: Readonly<Partial<Record<ClientName, readonly string[]>>> = {
  smtplib: ['PLAIN', 'LOGIN', 'CRAM-MD5'],
  curl: ['PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2', 'OAUTHBEARER'],
  swaks: ['PLAIN', 'LOGIN', 'CRAM-MD5'],
  msmtp: ['PLAIN', 'LOGIN', 'CRAM-MD5', 'SCRAM-SHA-256', 'XOAUTH2', 'OAUTHBEARER'],
  nodemailer: ['PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2'],
  exim: ['PLAIN', 'LOGIN', 'CRAM-MD5'],
}

function plansOf(client: ClientName): Plan[] {
  const plans: Plan[] = [{ client, layer: 'clear', auth: null }]
  const mechanisms = MECHANISMS[client]
  if (mechanisms === undefined) return plans
  for (const auth of [null, ...mechanisms]) plans.push({ client, layer: 'starttls', auth })
  return [...plans, { client, layer: 'implicit', auth: mechanisms[0] ?? null }]
}

/** What came in at the SmtpHandler. */
interface Arrival {
  readonly mail: Buffer
  readonly mechanism: string | null
  readonly user: string | null
  readonly protocol: string
}

const scratch = mkdtempSync(join(tmpdir(), 'mailhandler-clients-'))
chmodSync(scratch, 0o755) // for Exim's own user
t.teardown(() => rmSync(scratch, { recursive: true, force: true }))

let jobs = 0

/** Has a client send one mail. */
async function send(
  { client, layer, auth }: Plan,
  port: number,
  mail: Buffer,
  certificate: string,
): Promise<{ recipient: string; code: number | null; output: string }> {
  const recipient = `job-${++jobs}@mx.example`
  const folder = join(scratch, String(jobs))
  mkdirSync(folder)
  const result = await CLIENTS[client].send({ port, layer, auth, recipient, mail, scratch: folder, certificate })
  return { recipient, ...result }
}

/** Why a client cannot run here, or false where it can. Where CI has it all, nothing may be missing. */
function missing(...programs: readonly string[]): string | false {
  if (process.env['CI'] === 'true') return false
  const gone = programs.filter(program => client(program) === null)
  if (gone.length > 0) return `${gone.join(', ')} is missing: .ci/install-clients`
  return programs.includes('exim4') && process.getuid?.() !== 0 ? 'exim takes a configuration from root alone' : false
}

/** Runs so many at once, and gives their results in order. */
function pool<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R>[] {
  const results: Promise<R>[] = []
  for (const [i, item] of items.entries()) {
    const turn = i < AT_ONCE ? Promise.resolve() : Promise.allSettled([results[i - AT_ONCE]]).then(() => {})
    results.push(turn.then(() => work(item)))
    results[i]!.catch(() => {})
  }
  return results
}

function listen(server: Server): Promise<number> {
  t.teardown(() => server.close())
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

function serve(options: SmtpHandlerOptions): (socket: Socket) => void {
  return socket => {
    socket.pipe(new SmtpHandler(options)).pipe(socket)
  }
}

t.test('a MailHandler with a Maildir', async t => {
  const folder = join(scratch, 'Maildir')
  const server = await startExample(t, 'maildir', { MAILDIR: folder })
  const usable = EVERYONE.filter(name => missing(...CLIENTS[name].needs) === false)
  const plans = usable.flatMap(client => [MAIL, UNENDED].map(mail => ({ client, mail })))
  const results = pool(plans, ({ client, mail }) => send({ client, layer: 'clear', auth: null }, server.port, mail, ''))
  for (const name of EVERYONE) {
    t.test(name, { skip: missing(...CLIENTS[name].needs) }, async t => {
      for (const [i, { client, mail }] of plans.entries()) {
        if (client !== name) continue
        const { recipient, code, output } = await results[i]!
        t.equal(code, 0, output)
        const [, id] = await server.printed(
          new RegExp(`^(\\S+): \\d+ octets from <${SENDER}> for <${recipient}>$`, 'm'),
        )
        const stored = readFileSync(join(folder, 'new', id!))
        t.ok(stored.equals(arriving(name)), `${mail === MAIL ? 'a whole mail' : 'without a line end'}: octet for octet`)
      }
    })
  }
  t.test('nothing else is there', t => {
    t.equal(readdirSync(join(folder, 'new')).length, plans.length)
    t.strictSame(readdirSync(join(folder, 'tmp')), [])
    t.end()
  })
})

t.test('an SmtpHandler', { skip: missing('openssl') }, async t => {
  const certificate = makeCertificate(scratch)
  const arrivals = new Map<string, Arrival>()
  const mechanisms = new WeakMap<Session, string>()
  const secret = await scramSecret(PASSWORD, { iterations: 4096 })
  const options: SmtpHandlerOptions = {
    name: 'mx.example',
    tls: { key: certificate.key, cert: certificate.cert },
    auth: {
      mechanisms: [
        plain(),
        login(),
        cramMd5({ hostname: 'mx.example', lookup: user => (user === USER ? PASSWORD : null) }),
        scramSha256({ iterations: 4096, lookup: user => (user === USER ? secret : null) }),
        xoauth2(),
        oauthbearer(),
      ],
    },
    onAuth(credentials, session) {
      mechanisms.set(session, credentials.mechanism)
      const { password, token } = credentials as { password?: string; token?: string }
      const right = 'verified' in credentials || password === PASSWORD || token === TOKEN
      return right && credentials.user === USER ? reply(235, '2.7.0', 'Welcome') : undefined
    },
    async onMessage(message, session) {
      const chunks: Buffer[] = []
      for await (const chunk of message) chunks.push(chunk as Buffer)
      const mechanism = mechanisms.get(session) ?? null
      const { user, protocol } = session
      for (const { address } of session.envelope!.recipients) {
        arrivals.set(address, { mail: Buffer.concat(chunks), mechanism, user, protocol })
      }
    },
  }
  // curl takes OAUTHBEARER, whatever it was told, where it is offered.
  const withoutBearer = { ...options, auth: { mechanisms: [plain(), xoauth2()] } }
  const port = await listen(createServer(serve(options)))
  const xoauth2Port = await listen(createServer(serve(withoutBearer)))
  const tlsPort = await listen(createTlsServer(certificate, serve(options)))
  const portFor = ({ layer, auth }: Plan): number =>
    layer === 'implicit' ? tlsPort : auth === 'XOAUTH2' ? xoauth2Port : port
  const sessions = recordSessions()
  t.teardown(() => sessions.stop())
  const rows: Row[] = []

  const plans = EVERYONE.filter(name => missing(...CLIENTS[name].needs) === false).flatMap(plansOf)
  const results = pool(plans, plan => send(plan, portFor(plan), MAIL, certificate.file))
  for (const name of EVERYONE) {
    t.test(name, { skip: missing(...CLIENTS[name].needs) }, async t => {
      for (const [i, plan] of plans.entries()) {
        if (plan.client !== name) continue
        const { recipient, code, output } = await results[i]!
        const title = `${plan.layer}${plan.auth === null ? '' : `, ${plan.auth}`}`
        t.equal(code, 0, `${title}: ${output.trim()}`)
        const arrival = arrivals.get(recipient)
        t.ok(arrival?.mail.equals(arriving(name)), `${title}: octet for octet`)
        t.match(arrival, { mechanism: plan.auth, user: plan.auth === null ? null : USER }, title)
        const record = sessions.records.find(({ recipients }) => recipients.includes(recipient))
        t.equal(record?.tls !== null, plan.layer !== 'clear', title)
        const secure = `${plan.layer === 'clear' ? '' : 'S'}${plan.auth === null ? '' : 'A'}`
        t.match(arrival?.protocol, plan.client === 'smtp-source' ? /^E?SMTP$/ : `ESMTP${secure}`, title)
        if (name === 'exim') t.ok(record?.verbs.includes('BDAT') && !record.verbs.includes('DATA'), 'by BDAT')
        if (record !== undefined) rows.push({ ...plan, client: name, record })
      }
    })
  }

  t.test('posttls-finger', { skip: missing('posttls-finger') }, async t => {
    const trust = ['-F', certificate.file, '-l', 'verify', '-o', 'inet_protocols=ipv4', '-o', 'myhostname=finger.test']
    const { output } = await run('posttls-finger', [
      ...trust,
      '-c',
      '-L',
      'summary,certmatch',
      `[127.0.0.1]:${port}`,
      'localhost',
    ])
    t.match(output, /Verified TLS connection established to 127\.0\.0\.1.*: TLSv1\.3/)
    const find = (): SessionRecord | undefined =>
      sessions.records.find(({ helo, verbs }) => helo === 'finger.test' || verbs.join() === 'EHLO,STARTTLS,EHLO,QUIT')
    await until(() => find()?.verbs.at(-1) === 'QUIT') // it may end before its QUIT is read
    const record = find()
    t.strictSame(record?.verbs, ['EHLO', 'STARTTLS', 'EHLO', 'QUIT'])
    if (record !== undefined) rows.push({ client: 'posttls-finger', layer: 'starttls', auth: null, record })
  })

  if (!WRITE) return
  t.test('a table of what was seen', t => {
    writeClientTable(rows)
    t.end()
  })
})
