// Log lines: what stands in them, what never does.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { logEvents } from '../lib/cli/log/event-log.ts'
import { kamaeliaLine } from '../lib/cli/log/kamaelia-line.ts'
import { showCommand, verdictOf } from '../lib/cli/log/session-tally.ts'
import { countEvents } from '../lib/cli/metrics/registry.ts'
import { WorkerMetrics } from '../lib/cli/metrics/worker-metrics.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { connectionChannel } from '../lib/server/diagnostics.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { plain } from '../lib/smtp/auth/password.ts'
import { converse } from '../lib/testing/conversation.ts'
import { reply } from '../lib/words/reply.ts'
import { openLog } from '../lib/cli/log/logger.ts'
import { subscribe } from '../lib/cli/subscriptions.ts'
import { closeLogs } from '../lib/log/line-log.ts'
import { channels } from '../lib/smtp/diagnostics.ts'
import type { Session } from '../lib/smtp/session.ts'
import { createLogger } from '../lib/cli/log/json-logger.ts'
import { register } from 'prom-client'
import { settle } from './fixtures/fake-clock.ts'
import { readText } from './fixtures/repository.ts'

const SECRET = Buffer.from('\0ann\0hunter2').toString('base64')

/** Has a client say these lines, and gives what was logged. */
async function logOf(lines: readonly string[], kamaelia: boolean, options: SmtpHandlerOptions = {}): Promise<string[]> {
  const out: string[] = []
  const log = createLogger({ level: 'debug', write: line => void out.push(line) })
  const stop = logEvents(() => ({ log, kamaelia: kamaelia ? line => void out.push(line) : null }))
  const handler = new SmtpHandler({
    client: { address: '192.0.2.1', port: 1025 },
    auth: { insecure: true, mechanisms: [plain()] },
    ...(options as { onMessage?: never }),
    onAuth: () => reply(535, '5.7.8', 'No'),
    async onMessage(message) {
      for await (const _ of message);
      return lines.includes('X-DEFER: 1') ? reply(451, '4.7.1', 'Later') : undefined
    },
  })
  const conversation = converse(handler)
  await conversation.expect(220)
  for (const line of lines) {
    conversation.write(`${line}\r\n`)
    if (!line.startsWith('X-')) await conversation.expect()
  }
  await conversation.closed()
  await settle(20)
  stop()
  return out
}

t.test('JSON: a line for the session, one for each transaction, both with its id', async t => {
  const lines = ['EHLO me.example', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA', '.', 'FOO', 'QUIT']
  const entries = (await logOf(lines, false)).map(line => JSON.parse(line) as Record<string, unknown>)
  const [transaction, ...others] = entries.filter(({ msg }) => msg === 'transaction')
  const session = entries.find(({ msg }) => msg === 'session')
  t.equal(others.length, 0)
  t.match(transaction, {
    client: '192.0.2.1',
    helo: 'me.example',
    protocol: 'ESMTP',
    sender: 'a@b.example',
    recipients: ['c@d.example'],
    octets: 0,
    verdict: 'accepted',
    reply: /^250 /,
  })
  t.match(session, {
    messages: { accepted: 1, refused: 0 },
    refused: 1,
    commands: 6,
    refusals: [{ command: 'unknown', reply: /^500/ }],
  })
  t.equal(session!['session'], transaction!['session'])
  t.match(transaction!['message'], /^[\da-f-]{36}$/)
})

t.test('every line about a message has its id', async t => {
  const mail = ['MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'RCPT TO:<e@d.example>', 'DATA', '.']
  const lines = ['EHLO me.example', ...mail, 'NOOP', ...mail, 'QUIT']
  const out = await logOf(lines, false, { limits: { recipients: 1 } })
  const entries = out.map(line => JSON.parse(line) as Record<string, string>)
  const ids = entries.filter(({ msg }) => msg === 'transaction').map(({ message }) => message)
  t.equal(new Set(ids).size, 2)
  const shown = entries
    .filter(({ msg }) => msg !== 'session')
    .map(({ msg, command, reply, message }) => [msg, command ?? reply ?? '', ids.indexOf(message)])
  const messageOf = (text: RegExp) => shown.filter(([, what]) => text.test(String(what))).map(([, , index]) => index)
  t.strictSame(messageOf(/^RCPT TO:<c/), [0, 1], 'commands')
  t.strictSame(messageOf(/^(?:250 2.1.5|452|354)/), [0, 0, 0, 1, 1, 1], 'replies')
  t.strictSame(messageOf(/^250 2.0.0 OK$/), [0, 0, -1, 1, 1], 'verdicts too, but not NOOP')
  t.strictSame(
    shown.filter(([msg]) => msg === 'limit').map(([, , index]) => index),
    [0],
  )
  t.strictSame(messageOf(/^(?:NOOP|EHLO|QUIT|MAIL)/), [-1, -1, -1, -1, -1])
})

t.test('the stack of a hook that throws, and of a factory', async t => {
  const onMailFrom = function checkName() {
    throw new Error('a fault', { cause: Object.assign(new Error('EIO: no'), { code: 'EIO', path: '/disk' }) })
  }
  const out = await logOf(['EHLO me.example', 'MAIL FROM:<a@b.example>', 'QUIT'], false, { onMailFrom })
  const error = out.map(line => JSON.parse(line) as Record<string, unknown>).find(({ msg }) => msg === 'error')
  t.match(error, { error: 'a fault', cause: 'EIO: no', code: 'EIO', path: '/disk', level: 'error' })
  t.match(error!['stack'], [/^at .*checkName/])

  const lines: string[] = []
  const stop = logEvents(() => ({
    log: createLogger({ level: 'info', write: line => void lines.push(line) }),
    kamaelia: null,
  }))
  const client = { address: '192.0.2.1', port: 25 }
  const event = {
    event: 'refused',
    client,
    local: client,
    proxy: null,
    refusal: 'handler',
    error: new Error('no'),
  } as const
  connectionChannel.publish(event)
  stop()
  t.match(JSON.parse(lines[0]!), { level: 'error', error: 'no', stack: [/^at /], msg: 'connection refused' })
})

t.test('nothing from the wire goes raw, and no secret at all', async t => {
  const out = await logOf(
    [
      'EHLO me.example',
      'EHLO me\u202e\u009b[31m\u001b',
      `AUTH PLAIN ${SECRET}`,
      'AUTH PLAIN',
      SECRET,
      SECRET,
      'VRFY a\u0085b\u2028c',
      'QUIT',
    ],
    false,
  )
  const text = out.join('')
  for (const line of out) t.doesNotThrow(() => JSON.parse(line), line)
  t.equal(/[^\n -~]/.exec(text), null, 'all of it is printable ASCII')
  t.notMatch(text, /hunter2/)
  t.notOk(text.includes(SECRET))
  t.notOk(text.toLowerCase().includes(SECRET.toLowerCase()))
})

t.test('what a command shows', t => {
  t.equal(showCommand('RCPT', 'TO:<a@b>'), 'RCPT TO:<a@b>')
  t.equal(showCommand('AUTH', null), 'AUTH')
  t.equal(showCommand('AHVUBN', 'secret'), 'unknown')
  t.equal(showCommand('NOOP', 'secret'), 'NOOP')
  t.end()
})

t.test('the verdict of several replies is the best', t => {
  t.equal(verdictOf([]), 'lost')
  t.equal(verdictOf([reply(550, 'no'), reply(250, 'ok')]), 'accepted')
  t.equal(verdictOf([reply(550, 'no'), reply(451, 'later')]), 'deferred')
  t.equal(verdictOf([reply(554, 'no')]), 'refused')
  t.end()
})

t.test("Kamaelia's lines", async t => {
  const mail = [
    'EHLO a|b',
    'MAIL FROM:<>',
    'RCPT TO:<c@d.example>',
    'RCPT TO:<"x>, <y"@d.example>',
    'DATA',
    '.',
    'QUIT',
  ]
  const [line, ...more] = (await logOf(mail, true)).filter(text => !text.startsWith('{'))
  t.strictSame(more, [])
  t.match(
    line,
    /^\d{14}\.\d{3} \| a\\x7cb \| 192\.0\.2\.1 \| <> \| <c@d\.example>, <"x\\x3e\\x2c \\x3cy"@d\.example> \| ACCEPTED \| [\da-f-]{36}$/,
  )
  const deferred = (await logOf([...mail.slice(0, 5), 'X-DEFER: 1', ...mail.slice(5)], true)).find(
    text => !text.startsWith('{'),
  )
  t.match(deferred, / \| DEFERRED \| [\da-f-]{36}$/)
  const none = (await logOf(['HELO x', 'QUIT'], true)).find(text => !text.startsWith('{'))
  t.match(none, /^\d{14}\.\d{3} \| x \| 192\.0\.2\.1 \| None \|  \|  \| $/)
  const session = new SmtpHandler({ client: { address: '192.0.2.1' } }).session
  t.match(
    kamaeliaLine(session, null, null, new Date(Date.UTC(2026, 10, 22, 8, 0, 0, 7))),
    /^20261122080000\.007 \|  \| /,
  )
})

t.test('metrics: names that the dashboard uses, labels from fixed sets, prom-client left alone', async t => {
  const { read, stop } = countEvents()
  await logOf(['EHLO x', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA', '.', 'X1', 'X2', 'QUIT'], true)
  const text = (await read(false)).text
  stop()
  t.match(text, /mailhandler_commands_total\{verb="other"\} 2/)
  t.match(text, /mailhandler_transactions_total\{verdict="accepted"\} 1/)
  t.match(text, /mailhandler_replies_total\{class="5xx"\} 2/)
  t.notMatch(text, /verb="X1"/)
  t.strictSame(await register.getMetricsAsJSON(), [])

  const workers = await new WorkerMetrics().read([])
  const names = new Set(
    [...`${text}${workers.text}`.matchAll(/^# TYPE (\w+) (\w+)/gm)].flatMap(([, name, type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  )
  const dashboard = readText('examples/grafana-dashboard.json')
  t.doesNotThrow(() => JSON.parse(dashboard))
  const used = new Set([...dashboard.matchAll(/\bmailhandler_\w+/g)].map(([name]) => name))
  t.ok(used.size > 10)
  for (const name of used) t.ok(names.has(name), name)
})

t.test('what a worker has counted stays when it is gone; what it has now does not', async t => {
  const { snapshot: take, stop } = countEvents()
  await logOf(['EHLO x', 'QUIT'], true)
  const snapshot = await take()
  stop()
  const metrics = new WorkerMetrics()
  metrics.receive(1, snapshot)
  metrics.receive(2, snapshot)
  t.match((await metrics.read([])).text, /^mailhandler_sessions_total 2$/m)
  await metrics.forget(1)
  metrics.receive(3, snapshot)
  const { text } = await metrics.read([{ id: 3, ask: () => metrics.receive(3, snapshot) }])
  t.match(text, /^mailhandler_sessions_total 3$/m)
  t.match(text, /^mailhandler_session_duration_seconds_count 3$/m)
  t.match(text, /^mailhandler_workers 1$/m)
})

t.test('OpenMetrics: the id of a message beside its count and its bucket, with workers too', async t => {
  const { read, snapshot, stop } = countEvents()
  const mail = ['MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA', '.']
  const out = await logOf(['EHLO x', ...mail, ...mail, 'QUIT'], false)
  const ids = out
    .map(line => JSON.parse(line) as Record<string, string>)
    .flatMap(({ msg, message }) => (msg === 'transaction' ? [message] : []))
  const workers = new WorkerMetrics()
  workers.receive(1, await snapshot())
  stop()
  for (const ask of [read, (isOpen: boolean) => workers.read([], isOpen)]) {
    for (const again of ['once', 'again']) {
      const { text, type } = await ask(true)
      t.match(type, /^application\/openmetrics-text; version=1/)
      t.match(text, /^# TYPE mailhandler_transactions counter$/m, again)
      const exemplar = `# {message="${ids[1]}"}`
      t.ok(text.includes(`\nmailhandler_transactions_total{verdict="accepted"} 2 ${exemplar} 1 `), again)
      const buckets = text.match(/^mailhandler_transaction_duration_seconds_bucket.*$/gm) ?? []
      t.ok(buckets.some(line => line.includes(exemplar)))
      t.match(text, /^# TYPE mailhandler_sessions_total unknown\nmailhandler_sessions_total 1$/m)
      t.equal(new Set(text.match(/^# TYPE \S+/gm)).size, text.match(/^# TYPE \S+/gm)?.length, 'each name once')
      t.match(text, /\n# EOF\n$/)
      const prometheus = await ask(false)
      t.match(prometheus.type, /^text\/plain; version=0\.0\.4/)
      t.match(prometheus.text, /^# TYPE mailhandler_transactions_total counter$/m, again)
      t.notMatch(prometheus.text, /message=/)
    }
  }
  await workers.forget(1)
  t.match((await workers.read([], true)).text, ids[1], 'also when the worker is gone')
})

t.test('a subscriber that throws: one process warning, and the process goes on', async t => {
  const seen: string[] = []
  const listen = (warning: Error): void => void seen.push(warning.message)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const session = {} as Session
  const stop = subscribe(channels.limit, () => {
    throw new Error('thrown by a subscriber')
  })
  for (let i = 0; i < 3; i++) channels.limit.publish({ session, limit: 'x' })
  stop()
  await settle()
  t.strictSame(seen, ['thrown by a subscriber'])
})

t.test('the verdict of 200,000 replies', t => {
  t.equal(verdictOf(Array.from({ length: 200_000 }, (_, i) => reply(i === 1 ? 250 : 550, 'x'))), 'accepted')
  t.end()
})

t.test('a limit is logged once a session, however often it is passed', t => {
  const out: string[] = []
  const log = createLogger({ write: line => void out.push(line) })
  const stop = logEvents(() => ({ log, kamaelia: null }))
  const session = { id: 's', client: { address: '192.0.2.1', port: 1025, name: null } } as unknown as Session
  for (let i = 0; i < 1000; i++) channels.limit.publish({ session, limit: 'recipients' })
  channels.limit.publish({ session, limit: 'errors' })
  stop()
  t.equal(out.length, 2)
  t.end()
})

t.test('each line of a JSON log parses, whatever is in it and however long it is', async t => {
  const file = join(t.testdir(), 'log')
  const log = openLog({ level: 'info', format: 'json', file }, 1)
  const text = `a\u0085b\u009bc\u2028d\u202ee\u200bf\r\n\u001b[2J"\\${'x'.repeat(20_000)}`
  log.info({ text }, 'line')
  for (let i = 0; i < 1000; i++) log.info({ filler: 'y'.repeat(2000) })
  // closeLogs() gives up after half a second.
  while (!existsSync(file) || !/"log lines dropped"[^\n]*\n$/.test(readFileSync(file, 'utf8'))) await settle()
  await closeLogs()
  log.info('after the end')
  await closeLogs()
  const written = readFileSync(file, 'utf8')
  const lines = written
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  t.equal(lines[0]!['text'], text)
  t.notMatch(written.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
  const dropped = lines.filter(line => line['msg'] === 'log lines dropped')
  t.equal(dropped.length, 1)
  t.match(dropped[0], { level: 'warn', worker: 1, dropped: Number })
  t.equal(lines.length - 1 + Number(dropped[0]!['dropped']), 1002)
})
