// Postfix's own queue sends through a gateway that greylists: a client that looks right is delivered at once, one that does
// not is deferred, comes again by Postfix's schedule, and is delivered once.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { greylist, mailauthSpf, suspicion, type GreylistEvent } from '../lib/greylist.ts'
import { allowRecipients } from '../lib/index.ts'
import { relay } from '../lib/relay.ts'
import { createServer } from '../lib/server/index.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { memoryStore } from '../lib/stores.ts'
import { AWKWARD_MAIL } from './fixtures/awkward-mail.ts'
import { missingPrograms } from './fixtures/clients.ts'
import { eventually } from './fixtures/daemon.ts'
import { startPostfix } from './fixtures/postfix.ts'
import { startReceiver } from './fixtures/receiver.ts'
import { submit } from './fixtures/submit.ts'
import { startDns } from './fixtures/suspects.ts'

const GOOD = '192.0.2.7'
const BAD = '198.51.100.7'

/** Passes connections on to a port, with a PROXY header that says that they come from an address. */
async function comingFrom(t: Test, address: string, port: number): Promise<number> {
  const proxy = createTcpServer(socket => {
    const inner = connect(port, '127.0.0.1')
    inner.write(`PROXY TCP4 ${address} 127.0.0.1 4711 25\r\n`)
    socket.pipe(inner).pipe(socket)
    socket.on('error', () => inner.destroy())
    inner.on('error', () => socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  return (proxy.address() as AddressInfo).port
}

t.test("Postfix's queue through the gateway", { skip: missingPrograms('postfix-master') }, async t => {
  const { server: names, dns } = await startDns(t)
  names.say('7.2.0.192.in-addr.arpa', 'PTR', 'mail.example.org')
  names.say('mail.example.org', 'A', GOOD)
  names.say('example.org', 'TXT', `v=spf1 ip4:${GOOD} -all`)
  const upstream = await startReceiver(t)
  const policies = [
    allowRecipients(['good.example', 'bad.example']),
    suspicion({ resolver: dns, spf: await mailauthSpf() }),
    greylist({ store: memoryStore(), rules: { delay: 1000 } }),
  ]
  const delivery = relay({ host: '127.0.0.1', port: upstream.port })
  t.teardown(() => delivery.close())
  const gateway = createServer({ proxy: ['127.0.0.1'] }, () => new SmtpHandler({ policies, delivery }))
  gateway.listen(0, '127.0.0.1')
  await once(gateway, 'listening')
  t.teardown(() => gateway.close())
  const { port } = gateway.address() as AddressInfo

  const verdicts: string[] = []
  const note = (event: unknown): void => {
    const decided = event as GreylistEvent
    if (decided.event !== 'decided') return
    for (const { recipient, verdict, reason } of decided.decisions) verdicts.push(`${recipient} ${verdict} ${reason}`)
  }
  subscribe('mailhandler:greylist', note)
  t.teardown(() => unsubscribe('mailhandler:greylist', note))

  const [good, bad] = [await comingFrom(t, GOOD, port), await comingFrom(t, BAD, port)]
  const to = (proxy: number): string => `smtp:[127.0.0.1]:${proxy}`
  const postfix = await startPostfix(t, {
    myhostname: 'mail.example.org',
    transport_maps: `inline:{{good.example = ${to(good)}}, {bad.example = ${to(bad)}}}`,
  })
  const sent = (recipient: string, status: string): number =>
    postfix
      .log()
      .split('\n')
      .filter(line => line.includes(`to=<${recipient}>`) && line.includes(`status=${status}`)).length
  const arrived = (recipient: string) => upstream.arrivals.filter(each => each.recipients.includes(recipient))
  const deliver = async (recipient: string): Promise<void> => {
    await submit(postfix.port, [recipient], AWKWARD_MAIL, { sender: 'anna@example.org' })
    await eventually(
      () => sent(recipient, 'sent') > 0,
      () => postfix.log(),
    )
  }

  await deliver('bob@good.example')
  t.equal(sent('bob@good.example', 'deferred'), 0, 'at once')
  t.equal(arrived('bob@good.example').length, 1)
  t.strictSame(verdicts.splice(0), ['bob@good.example exempt not suspicious'])

  await deliver('bob@bad.example')
  t.ok(sent('bob@bad.example', 'deferred') >= 1, 'deferred')
  t.match(postfix.log(), /said: 451 4\.7\.1 (?:<[^>]*>: )?Greylisted, try again in 1 seconds/)
  t.equal(arrived('bob@bad.example').length, 1, 'delivered once')
  t.ok(arrived('bob@bad.example')[0]!.mail.subarray(-AWKWARD_MAIL.length).equals(AWKWARD_MAIL), 'octet for octet')
  t.match(verdicts[0], /^bob@bad\.example new noReverseName, .*spfFail/)
  t.match(verdicts.at(-1), /^bob@bad\.example pass /)
})
