// examples/two-gateways.sh and the files for containers: two gateways on one Redis behind HAProxy.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { createServer } from '../lib/server/index.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { client, UNPACKED } from './fixtures/clients.ts'
import { Client, MAIN } from './fixtures/command.ts'
import { freePort } from './fixtures/free-port.ts'
import { readText, ROOT } from './fixtures/repository.ts'

const CLIENTS = ['192.0.2.7', '198.51.100.7', '203.0.113.7', '198.18.0.7']
/** A client that meets both gateways. */
const MOVING = '198.19.0.7'

/** A message of a client to the gateways; resolves with the first refusal, or with the verdict; empty without a greeting. */
async function deliver(port: number, address: string): Promise<string> {
  const session = new Client(port)
  try {
    if (!(await session.reply()).startsWith('220')) return ''
    for (const line of ['EHLO x.example', `XCLIENT ADDR=${address}`, 'EHLO x.example']) await session.say(line)
    return await session.send('text', 'bob@example.org')
  } finally {
    session.socket.destroy()
  }
}

/** The same, until HAProxy has seen that a gateway is up. */
async function answered(port: number, address: string): Promise<string> {
  for (;;) {
    const reply = await deliver(port, address).catch(() => '')
    if (reply !== '') return reply
    await pause(50)
  }
}

const missing = ['redis-server', 'haproxy'].filter(name => client(name) === null).join(', ')

t.test('the script: a client that one gateway has sent away passes at the other', { skip: missing }, async t => {
  const taken: string[] = []
  const upstream = createServer(
    () =>
      new SmtpHandler({
        async onMessage(message, { envelope }) {
          await text(message)
          taken.push(envelope.recipients[0]!.address)
        },
      }),
  )
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.teardown(() => upstream.close())
  const folder = t.testdir()
  const port = await freePort()
  const ports = await Promise.all(Array.from({ length: 5 }, freePort))
  const environment = {
    PATH: `${UNPACKED}:${process.env['PATH']}`,
    PORT: String(port),
    PORTS: ports.join(' '),
    DELAY: '1s',
    FOLDER: folder,
    MAILHANDLER: `${process.execPath} ${MAIN}`,
  }
  const address = `127.0.0.1:${(upstream.address() as { port: number }).port}`
  const script = spawn('sh', [join(ROOT, 'examples/two-gateways.sh'), address], { env: environment, stdio: 'ignore' })
  t.teardown(() => script.kill('SIGKILL'))

  const log = (name: string): string => readFileSync(join(folder, `${name}.log`), 'utf8')
  const areUp = (): boolean => {
    return ['first', 'second'].every(
      name => existsSync(join(folder, `${name}.log`)) && log(name).includes('listening on'),
    )
  }
  while (!areUp()) await pause(50)
  const decided = (name: string, verdicts: string): number =>
    [...log(name).matchAll(new RegExp(`"client":"${MOVING}".*"verdict":"(?:${verdicts})"`, 'g'))].length
  /** One client comes until it has met both gateways, whichever HAProxy takes and however long it thinks that one is down. */
  const meetsBoth = async (verdicts: string): Promise<void> => {
    while (decided('first', verdicts) === 0 || decided('second', verdicts) === 0) await answered(port, MOVING)
  }
  await meetsBoth('new|early')
  for (const each of CLIENTS) t.match(await answered(port, each), /^451 4\.7\.1 Greylisted/, each)
  await pause(1000)
  t.match(await answered(port, '100.64.0.7'), /^451 /)
  taken.length = 0
  for (const each of CLIENTS) t.match(await answered(port, each), /^250 /, each)
  t.strictSame(
    taken,
    CLIENTS.map(() => 'bob@example.org'),
    'upstream, once each',
  )
  await meetsBoth('pass|known')

  script.kill('SIGTERM')
  const [code] = (await once(script, 'exit')) as [number]
  t.equal(code, 0)
  await t.rejects(
    Client.deliver(port, 'text').then(verdict => (verdict === '' ? Promise.reject(new Error('closed')) : verdict)),
  )
  const all = (verdict: string): number => decided('first', verdict) + decided('second', verdict)
  t.equal(all('new'), 1, 'new at one, early at the other')
  t.equal(all('pass'), 1, 'passed at one, known at the other')
})

t.test("the containers' configuration is right, and what is around it fits", t => {
  const file = 'examples/docker/gateway.toml'
  const { config } = loadConfig(file, readText(file))
  t.match(config.greylist, { redis: 'redis://valkey:6379', salt: /^\/var\/lib\/mailhandler\// })
  t.match(config.listen[0], { address: { port: 2526 }, proxy: [/\//] })
  t.match(config.metrics.listen, { port: 9125 })
  const compose = readText('examples/docker/two-gateways.yaml')
  t.match(compose, './gateway.toml:/etc/mailhandler/mailhandler.toml:ro')
  t.match(compose, './haproxy.cfg:')
  t.match(compose, /mailhandler:\n(?: {4}.*\n)*? {4}deploy:\n {6}replicas: 2\n/)
  t.match(compose, /valkey:\n(?: {4}.*\n)*? {4}command: .*'--maxmemory-policy', 'volatile-ttl'\]/)
  t.match(compose, '- salt:/var/lib/mailhandler')
  t.match(readText('examples/docker/haproxy.cfg'), 'mailhandler:2526')
  const { peerDependencies } = JSON.parse(readText('package.json')) as { peerDependencies: Record<string, string> }
  for (const name of ['tldts', 'ioredis', 'prom-client']) {
    const [, major] = /(\d+)/.exec(peerDependencies[name]!)!
    t.match(readText('examples/docker/Dockerfile'), `${name}@${major}`)
  }
  t.end()
})
