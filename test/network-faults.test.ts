// What a client hears when the network fails, between it and the server, and between relay and upstream: fault by fault,
// state by state. docs/faults.md has the tables. In every cell a message arrives whole or not at all, and arrives if the
// client heard 250.

import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { reply, SmtpHandler } from '../lib/index.ts'
import { createServer } from '../lib/server/index.ts'
import { FakeClock, settle } from './fixtures/fake-clock.ts'
import { faultyNetwork, type NetworkFault, type FaultyNetwork, type Trigger } from './fixtures/faulty-network.ts'
import { readText } from './fixtures/repository.ts'
import { CLOSED, listening, portOf, TcpClient } from './fixtures/tcp-client.ts'
import { front, offers, startUpstream } from './fixtures/upstream.ts'

const FAULTS: readonly NetworkFault[] = [
  'delay',
  'one octet at a time',
  'half-close',
  'close before data',
  'reset',
  'cut',
]

interface State extends Trigger {
  readonly name: string
  readonly byBdat?: boolean
}

/** A message is taken by the words of {@link TAKEN}. */
const STATES: readonly State[] = [
  { name: 'greeting', direction: 'down', sees: /^220/ },
  { name: 'EHLO', direction: 'up', sees: /EHLO/ },
  { name: 'MAIL', direction: 'up', sees: /MAIL/ },
  { name: 'RCPT', direction: 'up', sees: /RCPT/ },
  { name: 'DATA', direction: 'up', sees: /DATA/ },
  { name: 'in mail data', direction: 'up', sees: /Hello/ },
  { name: 'end', direction: 'up', sees: /\r\n\.\r\n/ },
  { name: 'reply to it', direction: 'down', sees: /Taken/ },
  { name: 'BDAT', direction: 'up', sees: /BDAT/, byBdat: true },
  { name: 'reply to BDAT', direction: 'down', sees: /Taken/, byBdat: true },
  { name: 'QUIT', direction: 'up', sees: /QUIT/ },
]
const TAKEN = reply(250, '2.0.0', 'Taken')
const SHORT = 'Subject: x\r\n\r\nHello.\r\n'
/** More than a relay holds back. */
const TALL = `${SHORT}${`${'x'.repeat(76)}\r\n`.repeat(500)}`
const ENVELOPE = ['MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.org>']
/** Milliseconds of the fake clock: more than the longest limit of a session. */
const LONG = 600_000

/** What was heard, and what arrived. */
interface Cell {
  /** The code of the reply to the message, or to what was refused before it; `closed`, `reset`, `silence`. */
  readonly heard: string
  readonly arrived: readonly string[]
}

function messageOf({ name }: State): string {
  return name === 'in mail data' ? TALL : SHORT
}

/** What is written into the table. */
function shown({ heard, arrived }: Cell): string {
  return heard !== '250' && arrived.length > 0 ? `${heard}, arrived` : heard
}

/** What holds in every cell. */
function judge(t: Test, { heard, arrived }: Cell, state: State, row: string): void {
  for (const each of arrived) t.ok(each === messageOf(state), `${row}: whole`)
  t.ok(arrived.length <= 1, `${row}: once`)
  if (heard === '250') t.equal(arrived.length, 1, `${row}: accepted, and it arrived`)
  const mayArrive = ['end', 'reply to it', 'BDAT', 'reply to BDAT'].includes(state.name)
  if (heard !== '250' && !mayArrive) t.equal(arrived.length, 0, `${row}: ${heard}`)
}

type Table = Map<NetworkFault, Map<string, string>>

function rows(table: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`
  const names = STATES.map(({ name }) => name)
  const head = [line(['fault', ...names]), line(['fault', ...names].map(() => '---'))]
  return head.concat(FAULTS.map(fault => line([fault, ...names.map(name => table.get(fault)!.get(name)!)]))).join('')
}

/** Plays every cell, those of a fault at the same time; checks that docs/faults.md has the table. */
function checkMatrix(name: string, play: (t: Test, fault: NetworkFault, state: State) => Promise<Cell>): void {
  t.test(name, async t => {
    const table: Table = new Map()
    for (const fault of FAULTS) {
      const cells = STATES.map(async state => {
        const cell = await play(t, fault, state)
        judge(t, cell, state, `${fault}, ${state.name}`)
        return [state.name, shown(cell)] as const
      })
      table.set(fault, new Map(await Promise.all(cells)))
    }
    t.ok(readText('docs/faults.md').includes(rows(table)), `the table is now:\n${rows(table)}`)
  })
}

// ── client → server ──

/** How a connection ended for a client. */
function endOf(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNRESET' ? 'reset' : 'closed'))
    socket.once('end', () => resolve('closed'))
  })
}

/** Says a message word by word. Resolves with the last reply that it heard, or how the connection ended. */
async function sendOver(network: FaultyNetwork, state: State): Promise<string> {
  const socket = connect({ port: network.port, host: '127.0.0.1', noDelay: true })
  const ended = endOf(socket)
  const client = new TcpClient(socket)
  const message = messageOf(state)
  const says = ['', 'EHLO client.example\r\n', ...ENVELOPE.map(line => `${line}\r\n`)]
  let heard = ''
  for (const text of [
    ...says,
    ...(state.byBdat ? [`BDAT ${message.length} LAST\r\n${message}`] : ['DATA\r\n', message, '.\r\n']),
  ]) {
    if (text !== '') client.write(text)
    if (text === message) await Promise.race([network.saw(/Hello/), ended])
    else heard = await client.reply()
    if (heard === CLOSED || !/^[23]/.test(heard)) break
  }
  if (heard === CLOSED) heard = await ended
  else void client.say('QUIT')
  return heard.slice(0, /^\d/.test(heard) ? 3 : undefined)
}

checkMatrix('between client and server', async (t, fault, state) => {
  const clock = new FakeClock()
  const arrived: string[] = []
  const session = { closed: 0 }
  const server = await listening(
    createServer({ clock }, () => {
      return new SmtpHandler({
        clock,
        name: 'mx.example',
        handleError() {},
        delivery: {
          async onMessage(message) {
            arrived.push(await text(message))
            return TAKEN
          },
          onClose: () => void session.closed++,
        },
      })
    }),
  )
  t.teardown(() => server.close())
  const network = await faultyNetwork(t, portOf(server), fault, state)
  const dialogue = sendOver(network, state)
  const heard = await Promise.race([dialogue, silence(network, fault, clock, () => session.closed > 0)])
  const row = `${fault}, ${state.name}`
  while (session.closed === 0) {
    await pause(2)
    if (fault === 'cut' || fault === 'half-close') await clock.tick(LONG)
  }
  while (server.connections > 0) {
    await pause(2)
    await clock.tick(LONG)
  }
  t.equal(session.closed, 1, `${row}: onClose is called once`)
  const next = new TcpClient(connect(portOf(server), '127.0.0.1'))
  t.match(await next.reply(), /^220/, `${row}: the next client is served`)
  next.socket.destroy()
  return { heard, arrived }
})

/** Behind a cut nothing comes; resolves once time has ended the server's session too. */
async function silence(
  network: FaultyNetwork,
  fault: NetworkFault,
  clock: FakeClock,
  isOver: () => boolean,
): Promise<string> {
  if (fault !== 'cut') return new Promise(() => {})
  while (!network.hasFailed) await pause(2)
  while (!isOver()) {
    await pause(2)
    await clock.tick(LONG)
  }
  return 'silence'
}

// ── relay → upstream ──

const SECOND = 1000
const TIMEOUTS = { open: SECOND, command: SECOND, data: SECOND, block: SECOND, end: SECOND, quit: SECOND } as const

checkMatrix('between relay and upstream', async (t, fault, state) => {
  const clock = new FakeClock()
  const upstream = await startUpstream(t, {
    EHLO: state.byBdat === true ? offers('8BITMIME', 'CHUNKING') : offers('8BITMIME'),
    end: '250 2.0.0 Taken\r\n',
    BDAT: '250 2.0.0 Taken\r\n',
  })
  const network = await faultyNetwork(t, upstream.port, fault, state)
  const options = { host: '127.0.0.1', port: network.port, timeouts: TIMEOUTS, pool: { uses: 1 }, clock }
  const { c, delivery } = await front(t, options, { clock })
  /** Time goes on only where nothing else does. */
  const heard = async (said: Promise<{ readonly text: string }>): Promise<string> => {
    for (;;) {
      const reply = await Promise.race([said, pause(2)])
      if (reply !== undefined) return reply.text
      if (fault === 'cut' && network.hasFailed) await clock.tick(2 * SECOND)
    }
  }
  let last = ''
  for (const line of [...ENVELOPE, 'DATA']) {
    last = await heard(c.command(line))
    if (!/^[23]/.test(last)) break
  }
  if (last.startsWith('354')) {
    c.write(messageOf(state))
    await c.drained()
    if (state.name === 'in mail data') await network.saw(/Hello/)
    c.write('.\r\n')
    last = await heard(c.expect())
  }
  await heard(c.command('QUIT', 221))
  await settle()
  delivery.close()
  return { heard: last.slice(0, 3), arrived: upstream.messages }
})
