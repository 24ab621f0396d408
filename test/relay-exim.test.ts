// relay() in front of Exim and OpenSMTPD, which learn of the client by the PROXY protocol.

import t from 'tap'
import { AWKWARD_MAIL } from './fixtures/awkward-mail.ts'
import { missingPrograms } from './fixtures/clients.ts'
import { eventually } from './fixtures/daemon.ts'
import { startExim } from './fixtures/exim.ts'
import { passesMail, startGate, XCLIENT } from './fixtures/gate.ts'
import { startOpenSmtpd } from './fixtures/opensmtpd.ts'
import { startReceiver } from './fixtures/receiver.ts'
import { snippet } from './fixtures/snippets.ts'
import { submit } from './fixtures/submit.ts'

t.jobs = 2

t.test('Exim', { skip: missingPrograms('exim4', 'exim4-heavy'), buffered: true }, async t => {
  const behind = await startReceiver(t)
  const main = 'log_selector = +incoming_port'
  const routers = `
known:
  driver = manualroute
  domains = mx.example
  local_parts = ^(bob|bjørn|many-[0-9]+)\\$
  route_list = * 127.0.0.1 byname
  self = send
  transport = behind`
  const transports = `
behind:
  driver = smtp
  port = ${behind.port}
  hosts_avoid_tls = *`
  const acl = snippet('exim-acl')
  const exim = await startExim(t, { main, acl, routers, transports })
  await passesMail(t, {
    port: await startGate(t, { host: '127.0.0.1', port: exim.port }),
    delivered: () => behind.arrivals,
    adds: /^$/, // its Received: is turned off in the fixture
    unknown: /^550 Unrouteable address$/,
    taken: /^250- \d+ byte chunk, total \d+\n250 OK id=\S+$/,
    smtputf8: true,
    log: () => exim.log(),
  })
  t.match(exim.log(), /<= anna@client\.test H=.*\[127\.0\.0\.1\]/, 'without PROXY it takes the gate for the client')

  t.test('the true client, by proxy-v2', async t => {
    const proxied = await startExim(t, {
      build: 'heavy',
      main: `${main}\n${snippet('exim')}`,
      acl,
      routers,
      transports,
    })
    const gate = await startGate(t, { host: '127.0.0.1', port: proxied.port, clientInfo: 'proxy-v2' })
    const before = behind.arrivals.length
    await submit(gate, ['bob@mx.example'], AWKWARD_MAIL, { xclient: XCLIENT })
    await eventually(
      () => behind.arrivals.length > before,
      () => proxied.log(),
    )
    t.match(proxied.log(), /<= anna@client\.test H=\(gate\.example\) \[192\.0\.2\.7\]:40000 /)
  })
})

t.test('OpenSMTPD', { skip: missingPrograms('opensmtpd'), buffered: true }, async t => {
  const behind = await startReceiver(t)
  const known = ['bob', ...Array.from({ length: 200 }, (_, i) => `many-${i}`)].map(name => `"${name}@mx.example"`)
  const configuration = `table known { ${known.join(', ')} }
action "behind" relay host smtp+notls://127.0.0.1:${behind.port}
match from any for domain "mx.example" rcpt-to <known> action "behind"`
  const smtpd = await startOpenSmtpd(t, configuration)
  await passesMail(t, {
    port: await startGate(t, { host: '127.0.0.1', port: smtpd.port }),
    delivered: () => behind.arrivals,
    adds: /^Received: from gate\.example \(localhost \[127\.0\.0\.1\]\)\r\n\tby opensmtpd\.test \(OpenSMTPD\)[^\r]*\r\n(?:\t[^\r]*\r\n)*$/,
    unknown: /^550 Invalid recipient: <nobody@mx\.example>$/,
    taken: /^250 2\.0\.0 \S+ Message accepted for delivery$/,
    smtputf8: false,
    log: () => smtpd.log(),
  })

  t.test('the true client, by proxy-v2', async t => {
    const [, option] = /^listen on 127\.0\.0\.1 port 10025 (.+)\n$/.exec(snippet('opensmtpd'))!
    const proxied = await startOpenSmtpd(t, configuration, option)
    const gate = await startGate(t, { host: '127.0.0.1', port: proxied.port, clientInfo: 'proxy-v2' })
    const before = behind.arrivals.length
    await submit(gate, ['bob@mx.example'], AWKWARD_MAIL, { xclient: XCLIENT })
    await eventually(
      () => behind.arrivals.length > before,
      () => proxied.log(),
    )
    const received = behind.arrivals[before]!.mail.subarray(0, -AWKWARD_MAIL.length).toString()
    t.match(received, /^Received: from gate\.example \([^\r]*\[192\.0\.2\.7\]\)\r\n/)
  })
})
