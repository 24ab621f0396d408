// SmtpHandler with relay() to UPSTREAM, and in front of it what POLICIES says: `none`, `lists`,
// `suspicious` or `all`. A PROXY header says who the client is; DNS is asked at the address DNS, and its answers are kept.
import { join } from 'node:path'
import { resolver } from '../../dist/lib/dns.js'
import { allowClients, allowSenders, denyClients, denySenders, greylist, suspicion } from '../../dist/lib/greylist.js'
import { SmtpHandler, allowRecipients } from '../../dist/lib/index.js'
import { relay } from '../../dist/lib/relay.js'
import { createServer } from '../../dist/lib/server/index.js'
import { circuitBreaker, sqliteStore } from '../../dist/lib/stores.js'
import { listening } from './received.js'

const { UPSTREAM, POLICIES, DNS, FOLDER } = process.env
// As in relay.js.
const pool = { connections: 100, kept: 100, perNetwork: 1, uses: 1_000_000, age: 3_600_000 }
const delivery = relay({ host: '127.0.0.1', port: Number(UPSTREAM), clientInfo: 'none', pool })

const networks = Array.from({ length: 1000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)
const domains = Array.from({ length: 1000 }, (_, i) => `domain${i}.example`)
const dns = resolver({ servers: [DNS] })
const suspect = () => [
  allowClients([...networks, '*.partner.example']),
  denyClients(['203.0.113.0/24', '*.bad.example']),
  allowSenders(domains),
  denySenders(['spam.example', 'ads@other.example']),
  suspicion({ resolver: dns, blockLists: ['one.list.example', 'two.list.example'], allowLists: ['good.list.example'] }),
]
/** With `all` the store is asked about everybody, though nobody is suspicious: the dearest case. */
const greylisted = hold => [
  ...suspect(),
  greylist({ store: circuitBreaker(sqliteStore({ file: join(FOLDER, `${hold}.db`) })), hold, rules: { delay: 1 } }),
]
const policies = [
  allowRecipients(['example.org']),
  ...{ none: () => [], lists: suspect, suspicious: () => greylisted('suspicious'), all: () => greylisted('all') }[
    POLICIES
  ](),
]

const options = { policies, delivery } // one object, so that it is checked once
// All connections come from one address, and say in a PROXY header whose they are.
const limits = { perClient: { connections: 1_000_000, perMinute: 1_000_000_000 }, maxConnections: 10_000 }

createServer({ proxy: ['127.0.0.1'], ...limits }, () => new SmtpHandler(options)).listen(0, '127.0.0.1', function () {
  listening(this.address().port)
})
