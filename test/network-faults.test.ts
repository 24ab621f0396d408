// What a client hears when the network fails, between it and the server, and between relay and upstream: fault by fault,
// state by state. docs/faults.md has the tables. In every cell a message arrives whole or not at all, and arrives if the
// client heard 250. test/tls-faults.test.ts has the same under TLS.

import t from 'tap'
import { checkTable, NETWORK_FAULTS, withTallMessages, type State } from './fixtures/fault-table.ts'
import { playServer } from './fixtures/faulty-server.ts'
import { playUpstream } from './fixtures/faulty-upstream.ts'

const STATES: readonly State[] = [
  { name: 'greeting', direction: 'down', sees: /^220/ },
  { name: 'EHLO', direction: 'up', sees: /EHLO/ },
  { name: 'MAIL', direction: 'up', sees: /MAIL/ },
  { name: 'RCPT', direction: 'up', sees: /RCPT/ },
  { name: 'DATA', direction: 'up', sees: /DATA/ },
  { name: 'in mail data', direction: 'up', sees: /Hello/, waits: true },
  { name: 'end', direction: 'up', sees: /\r\n\.\r\n/, isWhole: true },
  { name: 'reply to it', direction: 'down', sees: /Taken/, isWhole: true },
  { name: 'BDAT', direction: 'up', sees: /BDAT/, byBdat: true, isWhole: true },
  { name: 'reply to BDAT', direction: 'down', sees: /Taken/, byBdat: true, isWhole: true },
  { name: 'QUIT', direction: 'up', sees: /QUIT/ },
]
/** How a relay cuts chunks is its own affair; test/relay-faults.test.ts has what is lost between them. */
const IN_A_CHUNK: State = { name: 'in a chunk', direction: 'up', sees: /BDAT/, byBdat: true, waits: true }

t.test('between client and server', t =>
  checkTable(t, NETWORK_FAULTS, [...STATES, IN_A_CHUNK], (t, place) => playServer(t, place)),
)

t.test('between relay and upstream', t =>
  checkTable(t, NETWORK_FAULTS, withTallMessages(STATES), (t, place) => playUpstream(t, place)),
)
