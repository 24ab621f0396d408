// What `mailhandler check --connect` says of upstreams.

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkConfig } from '../lib/cli/check.ts'
import { readCommandLine } from '../lib/cli/command-line.ts'
import { reply, SmtpHandler, type SmtpHandlerOptions } from '../lib/index.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { run } from './fixtures/command.ts'
import { freePort } from './fixtures/free-port.ts'
import { settle } from './fixtures/fake-clock.ts'
import { BY_BDAT, startUpstream } from './fixtures/upstream.ts'

const FILE = 'm.toml'
const DOMAINS = 'recipients.domains = ["example.org"]\n'

function to(port: number, more = ''): string {
  return `${DOMAINS}[upstream]\naddress = "127.0.0.1:${port}"\n${more}`
}

/** A server with TLS and AUTH, for the user `gateway` with the password `good`. */
async function startReal(t: Test, options: Omit<SmtpHandlerOptions, 'onMessage' | 'delivery'>): Promise<number> {
  const server = createServer(socket => {
    const handler = new SmtpHandler({
      name: 'mx.example',
      ...options,
      onAuth: credentials => {
        const isGood = 'password' in credentials && credentials.password === 'good'
        if (isGood && credentials.user === 'gateway') return reply(235, '2.7.0', 'In')
      },
      onMessage: async message => void message.resume(),
    } as SmtpHandlerOptions)
    handler.on('error', () => {})
    socket.on('error', () => {})
    socket.pipe(handler).pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('check --connect: good, refusing, without TLS, with a wrong certificate, with a wrong password', async t => {
  const folder = t.testdir({ good: 'good\nsecond line', wrong: 'not this\n' })
  const { key, cert } = makeCertificate(folder)
  const check = async (config: string): Promise<{ facts: string; problems: string }> => {
    writeFileSync(join(folder, FILE), config)
    const found = await checkConfig(readCommandLine(['check', '--connect', '-c', join(folder, FILE)]))
    return { facts: found.facts.join('\n'), problems: found.problems.join('\n') }
  }
  const clear = await startUpstream(t, BY_BDAT)
  t.match(await check(to(clear.port)), {
    problems: '',
    facts:
      /^127\.0\.0\.1:\d+: open in \d+ ms, in clear; offers PIPELINING, 8BITMIME, CHUNKING, BINARYMIME, SIZE 1000000$/,
  })
  while (clear.verbs.length < 2) await settle(1)
  await settle(30)
  t.strictSame(clear.verbs, ['EHLO', 'QUIT'], 'no mail is sent')

  const real = await startReal(t, { tls: { key, cert }, auth: {} })
  const account = (file: string) => `auth = { user = "gateway", password_file = "${file}" }\ntls.ca = "cert.pem"\n`
  t.match(await check(to(real, account('good'))), {
    problems: '',
    facts: /open in \d+ ms, TLSv1\.3 with TLS_\w+ and a valid certificate; offers .*AUTH .*; AUTH as gateway works$/,
  })
  const wrong = await check(to(real, account('wrong')))
  t.match(wrong, {
    facts: '',
    problems: /upstream\.address: 127\.0\.0\.1:\d+ cannot be used: AUTH was answered 535 /,
  })
  t.notMatch(wrong.problems, /not this/)
  t.match(await check(to(real)), { problems: '', facts: /a certificate that nobody vouches for \(\w+\)/ })
  t.match(await check(to(real, 'tls.mode = "must"\n')), {
    problems: /the certificate is not valid: .*\(ERR_TLS, at TLS\)/,
  })
  t.match(await check(to(clear.port, 'tls.mode = "must"\n')), {
    problems: /cannot be used: .*\(ERR_TLS, at STARTTLS\)/,
  })

  const refusing = await startUpstream(t, { greeting: '554 5.7.1 Not\u0001 you\r\n' })
  t.match(await check(to(refusing.port)), {
    problems: /cannot be used: greeting was answered 554 5\.7\.1 Not\\x01 you/,
  })
  const none = await freePort()
  t.match(await check(`${DOMAINS}[upstream]\naddress = ["127.0.0.1:${none}", "127.0.0.1:${clear.port}"]\n`), {
    facts: /in clear; offers/,
    problems: new RegExp(`127\\.0\\.0\\.1:${none} cannot be used: .*ERR_CONNECTION_LOST`),
  })
  const outcome = await run(['check', '--connect', '-u', `127.0.0.1:${clear.port}`, '-d', 'example.org'], folder)
  t.match(outcome, { code: 0, stdout: /^127\.0\.0\.1:\d+: open in .*\nthe default configuration: good; no --config/ })
  t.match(await check(''), { problems: /--connect needs an upstream/ })
})
