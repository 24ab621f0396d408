// The files under examples/ by which people run the command: read by the programs they are for.

import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { bareNode } from './fixtures/bare-node.ts'
import { client } from './fixtures/clients.ts'
import { freePort } from './fixtures/free-port.ts'
import { readText, ROOT } from './fixtures/repository.ts'

const run = promisify(execFile)
const EXAMPLES = join(ROOT, 'examples')
const DOCKER = join(EXAMPLES, 'docker')

/** The reason to skip a test, or false. */
const without = (name: string): string | false => (client(name) === null ? `${name} is missing` : false)

t.test('systemd reads the units', { skip: without('systemd-analyze') }, async t => {
  const folder = t.testdir()
  for (const name of ['mailhandler.service', 'mailhandler.socket']) {
    writeFileSync(join(folder, name), readText(`examples/${name}`).replaceAll('/usr/bin/mailhandler', '/bin/true'))
  }
  const units = ['mailhandler.service', 'mailhandler.socket'].map(name => join(folder, name))
  const verify = ['verify', '--man=no', ...units]
  const { stdout, stderr } = await run('systemd-analyze', verify).catch(
    (error: Error & { stdout: string; stderr: string }) => error,
  )
  const said = `${stdout}${stderr}`.split('\n').filter(line => line.includes('mailhandler'))
  t.strictSame(said, [])
})

t.test('the service has the socket by the name in its own configuration', t => {
  t.match(readText('examples/mailhandler.socket'), /^FileDescriptorName=smtp$/m)
  t.match(readText('docs/configuration.md'), '"systemd:smtp"')
  t.end()
})

t.test('systemd-sysusers reads the account', { skip: without('systemd-sysusers') }, async t => {
  const root = t.testdir({ etc: {} })
  await run('systemd-sysusers', [`--root=${root}`, join(EXAMPLES, 'mailhandler.sysusers')])
  t.match(
    readFileSync(join(root, 'etc/passwd'), 'utf8'),
    /^mailhandler:x:\d+:\d+:mailhandler:\/var\/lib\/mailhandler:/m,
  )
})

t.test('logrotate reads the rotation', { skip: without('logrotate') }, async t => {
  const state = join(t.testdir(), 'state')
  const { stderr } = await run('logrotate', ['--debug', '--state', state, join(EXAMPLES, 'mailhandler.logrotate')])
  t.notMatch(stderr, /^error/m)
})

t.test('the steps in the unit name files that are there', t => {
  const steps = readText('examples/mailhandler.service').match(/examples\/[a-z.]+/g) ?? []
  t.ok(steps.length >= 4)
  for (const file of steps) t.ok(existsSync(join(ROOT, file)), file)
  t.end()
})

t.test('HAProxy reads its configuration', { skip: without('haproxy') }, async t => {
  const { stdout, stderr } = await run(client('haproxy')!, ['-c', '-f', join(DOCKER, 'haproxy.cfg')])
  t.match(stdout + stderr, 'valid')
  t.notMatch(stdout + stderr, /warning|alert/i)
})

t.test("the container's configuration is right, and what is around it fits", t => {
  const file = join(DOCKER, 'mailhandler.toml')
  const { config } = loadConfig(file, readFileSync(file, 'utf8'))
  const addresses = [...config.listen.map(({ address }) => address), config.metrics.listen]
  t.match(addresses, [{ port: 2526 }, { port: 2525 }, { port: 9125 }])
  t.match(readFileSync(join(DOCKER, 'Dockerfile'), 'utf8'), 'EXPOSE 2525 9125')
  t.match(readFileSync(join(DOCKER, 'haproxy.cfg'), 'utf8'), 'mailhandler:2526 send-proxy-v2 check port 9125')
  t.match(config.listen[0]?.proxy, [/\//])
  t.end()
})

t.test('what compose.yaml mounts and builds is there', t => {
  const compose = readFileSync(join(DOCKER, 'compose.yaml'), 'utf8')
  const mounted = [...compose.matchAll(/- (\.\/[^:]+):/g)].map(([, file = '']) => file)
  t.strictSame(mounted, ['./haproxy.cfg', './mailhandler.toml'])
  for (const file of mounted) t.ok(existsSync(join(DOCKER, file)), file)
  t.match(compose, 'dockerfile: examples/docker/Dockerfile')
  t.end()
})

t.test('the container does not run as root', t => {
  const lines = readFileSync(join(DOCKER, 'Dockerfile'), 'utf8').split('\n')
  const user = lines.findLastIndex(line => line.startsWith('USER '))
  t.match(lines[user], /^USER (?!root|0\b)/)
  t.ok(user < lines.findIndex(line => line.startsWith('ENTRYPOINT ')))
  t.end()
})

t.test('the health check says what /readyz says', async t => {
  const [, words = ''] =
    /^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$/m.exec(readFileSync(join(DOCKER, 'Dockerfile'), 'utf8')) ?? []
  const [program, flag = '', code = ''] = JSON.parse(words) as string[]
  t.equal(program, 'node')
  let status = 200
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    response.writeHead(status).end()
  })
  const port = await freePort() // in the end nobody listens there
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const check = async (): Promise<number> => {
    const [node, parameters] = bareNode([flag, code.replace('9125', String(port))])
    return run(node, parameters).then(
      () => 0,
      (error: { code: number }) => error.code,
    )
  }
  t.equal(await check(), 0)
  status = 503
  t.equal(await check(), 1)
  t.strictSame(asked, ['/readyz', '/readyz'])
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  t.equal(await check(), 1, 'nobody listens')
})

t.test('each file is of a kind that a test here reads', t => {
  const files = readdirSync(EXAMPLES, { withFileTypes: true }).filter(
    each => each.isFile() && !each.name.endsWith('.ts'),
  )
  t.strictSame(files.map(({ name }) => name).toSorted(), [
    'deliveries.toml', // cli-delivery.test.ts
    'gateway.toml',
    'grafana-dashboard.json',
    'mailhandler.logrotate',
    'mailhandler.service',
    'mailhandler.socket',
    'mailhandler.sysusers',
    'mailhandler.toml',
    'two-gateways.sh',
  ])
  t.strictSame(readdirSync(DOCKER).toSorted(), [
    'Dockerfile',
    'compose.yaml',
    'gateway.toml',
    'haproxy.cfg',
    'mailhandler.toml',
    'two-gateways.yaml',
  ])
  t.end()
})
