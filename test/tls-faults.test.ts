// The faults of test/network-faults.test.ts under TLS, and what a network can do to TLS itself. docs/faults.md has the
// tables. No octet that came in clear behind STARTTLS is taken, and no end of a connection for the end of a message.

import t from 'tap'
import { checkTable, TLS_FAULTS, withTallMessages, type Place, type State } from './fixtures/fault-table.ts'
import type { NetworkFault } from './fixtures/faulty-network.ts'
import { playServer } from './fixtures/faulty-server.ts'
import { playUpstream } from './fixtures/faulty-upstream.ts'

/** Before TLS: STARTTLS on its way to the server, and the reply to it. */
const CLEAR: readonly State[] = [
  { name: 'STARTTLS', direction: 'up', sees: /STARTTLS/ },
  { name: '220', direction: 'down', sees: /\n220 2\.0\.0 / },
]

/** The handshake: its first piece, the server's, and the client's last one. */
const HANDSHAKE: readonly State[] = [
  { name: 'ClientHello', direction: 'up', behind: /\n220 2\.0\.0 / },
  { name: 'ServerHello', direction: 'down', sees: /\n220 2\.0\.0 [^\n]*\n[^]/ },
  { name: 'Finished', direction: 'up', behind: /\n220 2\.0\.0 [^\n]*\n[^]/ },
]

const IMPLICIT: readonly State[] = [
  { name: 'ClientHello', direction: 'up', sees: /^/ },
  { name: 'ServerHello', direction: 'down', sees: /^/ },
  { name: 'Finished', direction: 'up', behind: /^[^]/ },
]

const SECURED: readonly State[] = [
  { name: 'MAIL', direction: 'up', says: /MAIL/ },
  { name: 'DATA', direction: 'up', says: /DATA/ },
  { name: 'in mail data', direction: 'up', says: /Subject|message/, waits: true },
  { name: 'end', direction: 'up', says: /^\.|message/, isWhole: true },
  { name: 'reply to it', direction: 'down', verdict: 1, isWhole: true },
  { name: 'BDAT', direction: 'up', says: /BDAT/, byBdat: true, isWhole: true },
  { name: 'reply to BDAT', direction: 'down', verdict: 1, byBdat: true, isWhole: true },
  { name: 'QUIT', direction: 'up', says: /QUIT/ },
]
const IN_A_CHUNK: State = { name: 'in a chunk', direction: 'up', says: /BDAT/, byBdat: true, waits: true }

const BY_STARTTLS = [...CLEAR, ...HANDSHAKE, ...SECURED]

/** In clear anybody can change anything; what they put behind STARTTLS and its reply is for the one who gets it to refuse. */
function isFault({ fault, state }: Place, ours: 'STARTTLS' | '220'): boolean {
  const { name } = state
  if (fault === 'close_notify') return state.says !== undefined
  if (fault === 'octet changed') return name !== 'STARTTLS' && name !== '220'
  return fault !== 'clear text behind it' || !CLEAR.includes(state) || name === ours
}

const FAULTS_OF_CLIENT: readonly NetworkFault[] = [...TLS_FAULTS, 'close_notify']

t.test('between client and server, STARTTLS', t =>
  checkTable(t, FAULTS_OF_CLIENT, [...BY_STARTTLS, IN_A_CHUNK], async (t, place) =>
    isFault(place, 'STARTTLS') ? playServer(t, place, { tls: 'starttls' }) : null,
  ),
)

t.test('between client and server, implicit TLS', t =>
  checkTable(t, FAULTS_OF_CLIENT, [...IMPLICIT, ...SECURED, IN_A_CHUNK], async (t, place) =>
    isFault(place, 'STARTTLS') ? playServer(t, place, { tls: 'implicit' }) : null,
  ),
)

t.test('between relay and upstream, STARTTLS', t =>
  checkTable(t, TLS_FAULTS, withTallMessages(BY_STARTTLS), async (t, place) =>
    isFault(place, '220') ? playUpstream(t, place, 'starttls') : null,
  ),
)

t.test('between relay and upstream, implicit TLS', t =>
  checkTable(t, TLS_FAULTS, withTallMessages([...IMPLICIT, ...SECURED]), async (t, place) =>
    playUpstream(t, place, 'implicit'),
  ),
)
