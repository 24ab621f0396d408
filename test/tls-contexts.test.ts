import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { createServer } from '../lib/server/index.ts'
import { tlsContexts, type TlsContexts } from '../lib/tls/tls-contexts.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { makePem } from './fixtures/pem.ts'
import { client, listening, portOf, tlsClient } from './fixtures/tcp-client.ts'

const UNLIMITED = { maxConnections: Infinity, perClient: { connections: Infinity, perMinute: Infinity } }

async function serve(t: Test, contexts: TlsContexts) {
  const implicit = await listening(createServer({ ...UNLIMITED, tls: contexts }, () => new SmtpHandler()))
  const starting = await listening(createServer(UNLIMITED, () => new SmtpHandler({ tls: contexts })))
  t.teardown(() => Promise.all([implicit.close({ within: 1 }), starting.close({ within: 1 })]))

  /** The name in the certificate that a client is shown, both ways. */
  async function shown(servername: string): Promise<string[]> {
    const one = tlsClient(implicit, { servername })
    await one.reply()
    const names = [nameIn(one.socket as TLSSocket)]
    one.socket.destroy()
    const two = client(starting)
    await two.reply()
    await two.codes('EHLO c.test', 'STARTTLS')
    names.push(nameIn(await two.secure({ servername })))
    two.socket.destroy()
    return names
  }
  return { implicit, starting, shown }
}

function nameIn(socket: TLSSocket): string {
  return String((socket.getPeerCertificate() as Partial<PeerCertificate>).subject?.CN)
}

t.test('a certificate for each name that is asked for', async t => {
  const folder = t.testdir()
  const [byDefault, exact, wild] = await Promise.all(
    ['default.test', 'mx.example.test', 'star.test'].map(name => makePem(`${folder}/${name}`, name)),
  )
  const names = { 'MX.example.test': exact!, '*.Example.test': wild! }
  const { shown } = await serve(t, tlsContexts({ default: byDefault!, names, common: { minVersion: 'TLSv1.3' } }))
  const table: [string, string][] = [
    ['mx.example.test', 'mx.example.test'],
    ['mX.EXAMPLE.test', 'mx.example.test'],
    ['other.example.test', 'star.test'],
    ['a.b.example.test', 'default.test'],
    ['example.test', 'default.test'],
    ['elsewhere.test', 'default.test'],
    ['localhost', 'default.test'],
    ['', 'default.test'],
  ]
  for (const [asked, name] of table) t.strictSame(await shown(asked), [name, name], asked)
})

t.test('reload, and a bad new file', async t => {
  const folder = t.testdir()
  const [one, two] = await Promise.all([makePem(`${folder}/one`, 'one.test'), makePem(`${folder}/two`, 'two.test')])
  const used = { keyFile: `${folder}/key`, certFile: `${folder}/cert` }
  const put = ({ keyFile, certFile }: typeof used): void => {
    copyFileSync(keyFile, used.keyFile)
    copyFileSync(certFile, used.certFile)
  }
  put(one)
  const contexts = tlsContexts({ default: used, names: { 'other.test': two } })
  const { shown } = await serve(t, contexts)
  t.strictSame(await shown('one.test'), ['one.test', 'one.test'])

  const bad: [string, () => void, RegExp][] = [
    ['another key', () => copyFileSync(two.keyFile, used.keyFile), /^certificate default, .*key.*cert.*: .*mismatch/],
    ['no certificate', () => writeFileSync(used.certFile, 'garbage'), /^certificate default, .*/],
    ['cut short', () => writeFileSync(used.keyFile, '-----BEGIN PRIVATE KEY-----\nMIG'), /^certificate default, /],
    ['no file', () => rmSync(used.keyFile), /^certificate default: ENOENT.*key/],
  ]
  for (const [what, spoil, message] of bad) {
    put(one)
    spoil()
    t.throws(() => contexts.reload(), { code: 'ERR_CERTIFICATE', message }, what)
    t.strictSame(await shown('one.test'), ['one.test', 'one.test'], `${what} changes nothing`)
  }
  put(two)
  contexts.reload()
  t.strictSame(await shown('one.test'), ['two.test', 'two.test'])
})

t.test('what is wrong from the start', async t => {
  const folder = t.testdir()
  const one = await makePem(`${folder}/one`, 'one.test')
  const missing = { keyFile: `${folder}/nothing`, certFile: one.certFile }
  t.throws(() => tlsContexts({ default: missing }), { code: 'ERR_CERTIFICATE', message: /default: ENOENT/ })
  t.throws(() => tlsContexts({ default: {} }), { code: 'ERR_CERTIFICATE' })
  for (const name of ['', '*', '*.', 'a.*.test', 'a b', '*.*.test']) {
    t.throws(() => tlsContexts({ default: one, names: { [name]: one } }), { code: 'ERR_OPTION' }, name)
  }
})

t.test('reload under load, without one failed session', async t => {
  const folder = t.testdir()
  const [one, two] = await Promise.all([makePem(`${folder}/one`, 'one.test'), makePem(`${folder}/two`, 'two.test')])
  const used = { keyFile: `${folder}/key`, certFile: `${folder}/cert` }
  const put = ({ keyFile, certFile }: typeof used): void => {
    copyFileSync(keyFile, used.keyFile)
    copyFileSync(certFile, used.certFile)
  }
  put(one)
  const contexts = tlsContexts({ default: used })
  const { implicit } = await serve(t, contexts)
  const before = tlsClient(implicit)
  t.match(await before.reply(), /^220/)
  const names = new Map<string, number>()
  let failed = 0
  const stop = new AbortController()
  async function load(): Promise<void> {
    let session: Buffer | undefined
    while (!stop.signal.aborted) {
      const socket = connect({
        port: portOf(implicit),
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ...(session && { session }),
      })
      socket.on('session', ticket => (session = ticket))
      const replies: string[] = []
      await new Promise<void>(resolve => {
        socket.on('error', () => {}).on('close', resolve)
        socket.on('data', chunk => {
          replies.push(chunk.toString().slice(0, 3))
          const name = nameIn(socket)
          names.set(name, (names.get(name) ?? 0) + 1)
          socket.write('QUIT\r\n')
        })
      })
      if (replies.join() !== '220,221') failed += 1
    }
  }
  const clients = Array.from({ length: 8 }, load)
  const hasBoth = (): boolean => names.has('one.test') && names.has('two.test')
  for (let i = 0; i < 20 || !hasBoth(); i++) {
    await pause(40)
    put(i % 2 === 0 ? two : one)
    if (i % 5 === 4) {
      writeFileSync(used.certFile, 'garbage')
      t.throws(() => contexts.reload())
    } else contexts.reload()
  }
  stop.abort()
  await Promise.all(clients)
  t.equal(failed, 0)
  t.ok(hasBoth(), JSON.stringify([...names]))
  t.match(await before.say('NOOP'), /^250/, 'a session from before goes on')
  before.socket.destroy()
})
