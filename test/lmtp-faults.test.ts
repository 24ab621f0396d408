// The faults of test/network-faults.test.ts in LMTP, with two recipients: between client and server, and between relay and
// upstream. Each recipient has the message if the client heard 250 for it, once; docs/faults.md has the tables.

import t from 'tap'
import { checkTable, NETWORK_FAULTS, TLS_FAULTS, withTallMessages, type State } from './fixtures/fault-table.ts'
import { playMailboxes } from './fixtures/faulty-mailboxes.ts'
import { playServer } from './fixtures/faulty-server.ts'

const STATES: readonly State[] = [
  { name: 'greeting', direction: 'down', sees: /^220/ },
  { name: 'LHLO', direction: 'up', sees: /LHLO/ },
  { name: 'MAIL', direction: 'up', sees: /MAIL/ },
  { name: 'RCPT', direction: 'up', sees: /RCPT/ },
  { name: 'second RCPT', direction: 'up', sees: /RCPT.*<c@/ },
  { name: 'DATA', direction: 'up', sees: /DATA/ },
  { name: 'in mail data', direction: 'up', sees: /Hello/, waits: true },
  { name: 'end', direction: 'up', sees: /\r\n\.\r\n/, isWhole: true },
  { name: 'first verdict', direction: 'down', sees: /Taken by 1/, isWhole: true },
  { name: 'second verdict', direction: 'down', sees: /Taken by 2/, isWhole: true },
  { name: 'BDAT', direction: 'up', sees: /BDAT/, byBdat: true, isWhole: true },
  { name: 'first to BDAT', direction: 'down', sees: /Taken by 1/, byBdat: true, isWhole: true },
  { name: 'second to BDAT', direction: 'down', sees: /Taken by 2/, byBdat: true, isWhole: true },
  { name: 'QUIT', direction: 'up', sees: /QUIT/ },
]
const IN_A_CHUNK: State = { name: 'in a chunk', direction: 'up', sees: /BDAT/, byBdat: true, waits: true }

/** Behind the handshake; what is before it is the same as in SMTP. */
const SECURED: readonly State[] = [
  { name: 'MAIL', direction: 'up', says: /MAIL/ },
  { name: 'RCPT', direction: 'up', says: /RCPT.*<b@/ },
  { name: 'second RCPT', direction: 'up', says: /RCPT.*<c@/ },
  { name: 'DATA', direction: 'up', says: /DATA/ },
  { name: 'in mail data', direction: 'up', says: /Subject|message/, waits: true },
  { name: 'end', direction: 'up', says: /^\.|message/, isWhole: true },
  { name: 'first verdict', direction: 'down', verdict: 1, isWhole: true },
  { name: 'second verdict', direction: 'down', verdict: 2, isWhole: true },
  { name: 'BDAT', direction: 'up', says: /BDAT/, byBdat: true, isWhole: true },
  { name: 'first to BDAT', direction: 'down', verdict: 1, byBdat: true, isWhole: true },
  { name: 'second to BDAT', direction: 'down', verdict: 2, byBdat: true, isWhole: true },
  { name: 'QUIT', direction: 'up', says: /QUIT/ },
]
const SECURED_CHUNK: State = { name: 'in a chunk', direction: 'up', says: /BDAT/, byBdat: true, waits: true }

t.test('between client and server', t =>
  checkTable(t, NETWORK_FAULTS, [...STATES, IN_A_CHUNK], (t, place) => playServer(t, place, { lmtp: true })),
)

t.test('between client and server, STARTTLS', t =>
  checkTable(t, TLS_FAULTS, [...SECURED, SECURED_CHUNK], (t, place) =>
    playServer(t, place, { lmtp: true, tls: 'starttls' }),
  ),
)

for (const [client, lmtp] of [
  ['SMTP', false],
  ['LMTP', true],
] as const) {
  t.test(`between relay and upstream, a client of ${client}`, t =>
    checkTable(t, NETWORK_FAULTS, withTallMessages(STATES), (t, place) => playMailboxes(t, place, { lmtp })),
  )
}

t.test('between relay and upstream, STARTTLS, a client of LMTP', t =>
  checkTable(t, TLS_FAULTS, withTallMessages(SECURED), (t, place) =>
    playMailboxes(t, place, { lmtp: true, tls: 'starttls' }),
  ),
)
