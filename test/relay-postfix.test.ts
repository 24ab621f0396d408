// relay() in front of Postfix, which learns of the client by XCLIENT or the PROXY protocol.

import t from 'tap'
import { AWKWARD_MAIL } from './fixtures/awkward-mail.ts'
import { missingPrograms } from './fixtures/clients.ts'
import { eventually } from './fixtures/daemon.ts'
import { freePort } from './fixtures/free-port.ts'
import { passesMail, startGate, XCLIENT } from './fixtures/gate.ts'
import { startPostfix } from './fixtures/postfix.ts'
import { startReceiver } from './fixtures/receiver.ts'
import { settings, snippet } from './fixtures/snippets.ts'
import { send, submit } from './fixtures/submit.ts'

t.test('Postfix', { skip: missingPrograms('postfix-master') }, async t => {
  const behind = await startReceiver(t)
  const own = await freePort()
  const proxied = await freePort()
  const postfix = await startPostfix(
    t,
    {
      ...settings('postfix'),
      relay_domains: 'mx.example',
      relay_recipient_maps: 'regexp:{{/^(bob|bjørn|many-[0-9]+)@mx\\.example$$/ ok}}',
      relay_transport: `smtp:[127.0.0.1]:${behind.port}`,
      smtpd_client_restrictions: 'check_client_access inline:{{198.51.100.9 = 554 5.7.1 Not from there}}',
    },
    `${snippet('postfix-port').replace('10025', String(own))}  -o syslog_name=postfix/own\n${snippet('postfix-proxy').replace('10026', String(proxied))}`,
  )
  const port = await startGate(t, { host: '127.0.0.1', port: postfix.port })

  await passesMail(t, {
    port,
    delivered: () => behind.arrivals,
    adds: /^Received: from client\.test \(unknown \[127\.0\.0\.1\]\)\r\n\tby postfix\.test \(Postfix\) with (?:ESMTP|UTF8SMTP)[^\r]*\r\n(?:\t[^\r]*\r\n)*$/,
    unknown: /^550 5\.1\.1 <nobody@mx\.example>: Recipient address rejected: User unknown in relay recipient table$/,
    taken: /^250 2\.0\.0 Ok: (?:\d+ bytes )?queued as [0-9A-F]+$/,
    smtputf8: true,
    log: () => postfix.log(),
  })

  t.test('the true client, by XCLIENT', async t => {
    const before = behind.arrivals.length
    await submit(port, ['bob@mx.example'], AWKWARD_MAIL, { xclient: XCLIENT })
    await eventually(
      () => behind.arrivals.length > before,
      () => postfix.log(),
    )
    const received = behind.arrivals[before]!.mail.subarray(0, -AWKWARD_MAIL.length).toString()
    t.match(received, 'Received: from helo.client.example (mail.client.example [192.0.2.7])\r\n')
    t.match(postfix.log(), /postfix\/smtpd\[\d+\]: \w+: client=mail\.client\.example\[192\.0\.2\.7\]/)
    await submit(port, ['bob@mx.example'], AWKWARD_MAIL)
    await eventually(
      () => behind.arrivals.length > before + 1,
      () => postfix.log(),
    )
    const next = behind.arrivals[before + 1]!.mail.subarray(0, -AWKWARD_MAIL.length).toString()
    t.match(next, /^Received: from client\.test \(unknown \[127\.0\.0\.1\]\)\r\n/, 'the next client is itself')
  })

  t.test('a client that Postfix refuses by its address is told so', async t => {
    const xclient = { ...XCLIENT, addr: { family: 4, address: '198.51.100.9' } } as const
    const { recipients } = await send(port, ['bob@mx.example'], AWKWARD_MAIL, { xclient })
    t.match(recipients[0]?.text, /^554 5\.7\.1 <mail\.client\.example\[198\.51\.100\.9\]>: .*Not from there$/)
  })

  t.test('a recipient that is not of its domains is refused, though the gate is in mynetworks', async t => {
    const { recipients } = await send(port, ['bob@elsewhere.example'], AWKWARD_MAIL)
    t.match(recipients[0]?.text, /^554 5\.7\.1 <bob@elsewhere\.example>: Relay access denied$/)
  })

  t.test('where everybody may send XCLIENT, one connection serves one client after the other', async t => {
    const gate = await startGate(t, { host: '127.0.0.1', port: own, probes: false })
    const before = behind.arrivals.length
    // Those to this port alone: the log may still be told of others, a moment later.
    const connections = (): number => postfix.log().split(/postfix\/own\/smtpd\[\d+\]: connect from /).length - 1
    const clients = ['192.0.2.7', '192.0.2.8', '192.0.2.9']
    for (const [i, address] of clients.entries()) {
      await submit(gate, ['bob@mx.example'], AWKWARD_MAIL, { xclient: { ...XCLIENT, addr: { family: 4, address } } })
      await eventually(
        () => behind.arrivals.length > before + i,
        () => postfix.log(),
      )
      t.match(behind.arrivals[before + i]!.mail.toString('latin1'), `(mail.client.example [${address}])`)
    }
    t.equal(connections(), 1, 'one connection')
  })

  t.test('a client whose port is not known: taken for the gate itself', async t => {
    const before = behind.arrivals.length
    const xclient = { addr: XCLIENT.addr! }
    const gates = { v1: 'proxy-v1', v2: 'proxy-v2' } as const
    const told: Record<string, number | undefined> = {}
    for (const [version, clientInfo] of Object.entries(gates)) {
      const gate = await startGate(t, { host: '127.0.0.1', port: proxied, clientInfo })
      told[version] = (await send(gate, ['bob@mx.example'], AWKWARD_MAIL, { xclient })).recipients[0]?.code
    }
    t.strictSame(told, { v1: 250, v2: 250 })
    await eventually(
      () => behind.arrivals.length > before + 1,
      () => postfix.log(),
    )
  })

  for (const clientInfo of ['proxy-v1', 'proxy-v2'] as const) {
    t.test(`the true client, by ${clientInfo}`, async t => {
      const gate = await startGate(t, { host: '127.0.0.1', port: proxied, clientInfo })
      const before = behind.arrivals.length
      await submit(gate, ['bob@mx.example'], AWKWARD_MAIL, { xclient: XCLIENT })
      await eventually(
        () => behind.arrivals.length > before,
        () => postfix.log(),
      )
      const received = behind.arrivals[before]!.mail.subarray(0, -AWKWARD_MAIL.length).toString()
      t.match(received, /^Received: from gate\.example \(unknown \[192\.0\.2\.7\]\)\r\n/)
    })
  }
})
