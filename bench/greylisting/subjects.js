// Who decides: the policies as they are shipped, in sessions in memory, with a clock that the simulation sets.

import { text } from 'node:stream/consumers'
import { greylist, suspicion } from '../../dist/lib/greylist.js'
import { SmtpHandler } from '../../dist/lib/index.js'
import { memoryStore } from '../../dist/lib/stores.js'
import { converse } from '../../dist/lib/testing/index.js'

const START = Date.UTC(2026, 0, 1)

/** Stands still within a session, so no timer fires. */
class VirtualClock {
  seconds = 0
  now = () => 1_000_000 + this.seconds * 1000
  wallTime = () => START + this.seconds * 1000
  after = () => ({})
  clear() {}
}

/** Each: the policies, given the store, the clock, DNS and SPF. */
const POLICIES = {
  none: () => [],
  default: ({ store, clock, resolver, weights = {} }) => [
    suspicion({ resolver, clock, weights }),
    greylist({ store, clock }),
  ],
  'default, SPF, a list': ({ store, clock, resolver, spf, weights = {} }) => [
    suspicion({ resolver, clock, spf, blockLists: ['list.example'], weights }),
    greylist({ store, clock }),
  ],
  'preset postgrey': ({ store, clock }) => [greylist({ store, clock, preset: 'postgrey', hold: 'all' })],
  'preset kamaelia': ({ store, clock }) => [greylist({ store, clock, preset: 'kamaelia', hold: 'all' })],
}

export const SUBJECTS = Object.keys(POLICIES)

/** A subject by its name; `weights` differ from the default ones. */
export function subjectOf(name, names, weights) {
  const clock = new VirtualClock()
  const store = memoryStore({ clock: { now: clock.wallTime }, limits: { unconfirmed: 1e6, passed: 1e6 } })
  const policies = POLICIES[name]({ store, clock, resolver: resolverOf(names), spf: spfOf(names), weights })
  return {
    name,
    async attempt({ at, ...mail }) {
      clock.seconds = at
      return send(mail, policies, clock)
    },
    close: () => store.close(),
  }
}

function resolverOf({ records }) {
  return {
    async resolve(name, type) {
      const found = records.get(`${type} ${name.toLowerCase()}`)
      return found === undefined ? { kind: 'none' } : { kind: 'found', records: found }
    },
    close() {},
  }
}

function spfOf({ spf }) {
  return async ({ domain, address }) => {
    const { result, prefix } = spf.get(domain) ?? { result: 'none', prefix: null }
    if (result !== 'pass') return { result, domain, mechanism: null, prefix: null }
    return { result, domain, mechanism: `ip4:${address}/${prefix}`, prefix }
  }
}

/** One session; true if the message was accepted. */
async function send({ host, sender, to }, policies, clock) {
  const handler = new SmtpHandler({
    name: 'mx.here.example',
    client: { address: host.address, port: 25 },
    clock,
    policies,
    async onMessage(message) {
      await text(message)
    },
  })
  const client = converse(handler)
  await client.expect(220)
  await client.command(`EHLO ${host.helo}`, 250)
  client.write(`MAIL FROM:<${sender}>\r\nRCPT TO:<${to}>\r\nDATA\r\n`)
  await client.expect(250)
  const recipient = await client.expect()
  const { code } = await client.expect()
  if (![250, 450, 451].includes(recipient.code)) throw new Error(`RCPT got ${recipient.text}`)
  let isAccepted = false
  if (code === 354) {
    await client.data('Subject: x\r\n\r\nx\r\n')
    isAccepted = (await client.expect()).code === 250
  }
  await client.command('QUIT', 221)
  await client.closed()
  return isAccepted
}
