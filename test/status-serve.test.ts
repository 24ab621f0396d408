// `mailhandler serve` with a status page: from one process and from workers, over the same address as the metrics.

import { request } from 'node:http'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { Client, start, workersOf } from './fixtures/command.ts'

const LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\n[metrics]\nlisten = "127.0.0.1:0"\n'

interface Answer {
  readonly status: number
  readonly text: string
}

function ask(port: number, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request({ port, host: '127.0.0.1', path, headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    asking.on('error', reject).end()
  })
}

/** Asks for the page until it says this. */
async function until(port: number, says: (text: string) => boolean): Promise<string> {
  for (;;) {
    const { text } = await ask(port, '/status')
    if (says(text)) return text
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

t.test('what two workers do is on one page; one that dies has no sessions', async t => {
  const greylist = '[greylist]\nhold = "all"\n[status]\n'
  const folder = t.testdir({ 'm.toml': `workers = 2\nxclient = ["127.0.0.1"]\n${LISTEN}${greylist}` })
  const server = start(['serve', '-c', 'm.toml'], folder)
  await server.port
  const [port, metrics] = server.ports() as [number, number]
  const clients = [1, 2, 3, 4].map(() => new Client(port))
  for (const client of clients) await client.reply()
  await until(metrics, text => text.includes('<dd id="sessions">4</dd>'))
  for (const [i, client] of clients.entries()) {
    await client.say(`XCLIENT ADDR=192.0.2.${i} HELO=client.example`)
    await client.say('EHLO client.example')
    await client.say('MAIL FROM:<ann@example.net>')
    t.match(await client.say('RCPT TO:<joe@example.org>'), /^451 4\.7\.1 Greylisted/)
  }
  const text = await until(metrics, text => text.includes('<dd id="refusals">4</dd>'))
  t.match(text, '<dd id="waiting">1</dd>') // They are in one network.
  t.match(text, 'first attempt')
  t.match(text, 'retry too early')
  t.match(text, '…@example.net')
  t.notMatch(text, 'ann@')
  process.kill(workersOf(server)[0]!, 'SIGKILL')
  await server.says('a worker died')
  // It had about half of them: the worker that is free sooner gets the next.
  const open = (): number => clients.filter(({ socket }) => !socket.destroyed).length
  await until(metrics, text => text.includes(`<dd id="sessions">${open()}</dd>`))
  t.ok(open() < clients.length)
  t.match((await ask(metrics, '/status')).text, '<dd id="refusals">4</dd>')
  for (const { socket } of clients) socket.destroy()
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('without [status] there is none; with a token it is asked for, and another name is refused', async t => {
  const folder = t.testdir({ 'm.toml': LISTEN, token: 'sesame-open-yourself\n' })
  const plain = start(['serve', '-c', 'm.toml'], folder)
  await plain.port
  const missing = await ask(plain.ports().at(-1)!, '/status')
  t.equal(missing.status, 404)
  t.equal(missing.text, 'there are /metrics, /healthz and /readyz\n')
  plain.child.kill('SIGTERM')
  await plain.ended

  writeFileSync(join(folder, 'm.toml'), `${LISTEN}[status]\ntoken_file = "token"\n`)
  const server = start(['serve', '-c', 'm.toml'], folder)
  const port = await server.port
  const metrics = server.ports().at(-1)!
  t.equal((await ask(metrics, '/healthz')).status, 200)
  t.equal((await ask(metrics, '/status')).status, 401)
  const authorization = 'Bearer sesame-open-yourself'
  t.equal((await ask(metrics, '/status', { authorization })).status, 200)
  t.equal((await ask(metrics, '/status', { authorization, host: 'evil.example' })).status, 403)
  t.match(await Client.deliver(port, 'hello'), /^250/)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})
