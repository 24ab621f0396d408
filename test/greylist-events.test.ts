import t from 'tap'
import { logGreylisting } from '../lib/cli/log/greylist-events.ts'
import { createLogger } from '../lib/cli/log/json-logger.ts'
import { storeFailureChannel } from '../lib/policies/diagnostics.ts'
import type { RecipientDecision } from '../lib/policies/greylist/decisions.ts'
import { greylistChannel, type GreylistEvent } from '../lib/policies/greylist/diagnostics.ts'
import { suspicionKey } from '../lib/policies/suspicion/verdict.ts'
import type { Session } from '../lib/smtp/session.ts'

const notes = new Map<unknown, unknown>([[suspicionKey, { score: 3, signs: [{ sign: 'no-reverse-name' }] }]])
const makeSession = (id: string) =>
  ({
    id,
    client: { address: '192.0.2.1', port: 4711 },
    notes: { get: (key: unknown) => notes.get(key) },
  }) as unknown as Session
const envelope = { id: 'message', sender: { address: 'a\r\nb@example.org' } }

const decision = (verdict: RecipientDecision['verdict'], recipient = 'b@example.org'): RecipientDecision => ({
  recipient,
  verdict,
  reason: verdict === 'exempt' ? null : 'no\nname',
  waits: false,
  wait: 0,
  age: 0,
  attempts: 1,
})

type Line = Record<string, unknown>

/** The lines of a log while `publish` runs. */
function logged(publish: () => void): Line[] {
  const lines: Line[] = []
  const log = createLogger({ level: 'debug', write: line => void lines.push(JSON.parse(line) as Line) })
  const undo = logGreylisting(() => log)
  publish()
  for (const each of undo) each()
  return lines
}

function decided(decisions: readonly RecipientDecision[], more: object = {}): Line[] {
  const event = { event: 'decided', session: makeSession('s'), envelope, at: 'rcpt', observed: false, decisions }
  return logged(() =>
    greylistChannel.publish({ ...event, clients: [], allowedBy: null, ...more } as unknown as GreylistEvent),
  )
}

t.test('a decision, with the signs of suspicion and without line feeds', async t => {
  const [line] = decided([decision('new')], { clients: ['net:192.0.2.0/24'], allowedBy: 'name:example.org' })
  t.match(line, {
    level: 'info',
    client: '192.0.2.1',
    clients: ['net:192.0.2.0/24'],
    allowedBy: 'name:example.org',
    score: 3,
    signs: ['no-reverse-name'],
    decisions: [{ recipient: 'b@example.org', verdict: 'new' }],
    msg: 'greylist',
  })
  t.notMatch(JSON.stringify(line), /\\[rn]/)
})

t.test('clients that are left alone are for debugging', async t => {
  const [line] = decided([decision('exempt')])
  t.equal(line!['level'], 'debug')
  t.notOk('clients' in line! || 'allowedBy' in line!)
})

t.test('20 recipients are named, all are counted', async t => {
  const [line] = decided(Array.from({ length: 25 }, (_, i) => decision('new', `b${i}@example.org`)))
  t.equal((line!['decisions'] as unknown[]).length, 20)
  t.equal(line!['recipientCount'], 25)
})

t.test('a session without suspicion', async t => {
  notes.clear()
  const [line] = decided([decision('new')])
  t.notOk('score' in line!)
})

t.test('a client cannot fill the log with decisions that the store was not asked for', async t => {
  const told = (session: Session, verdict: RecipientDecision['verdict']): void => {
    const event = { event: 'decided', session, envelope, at: 'rcpt', observed: false, clients: [], allowedBy: null }
    greylistChannel.publish({ ...event, decisions: [decision(verdict)] } as unknown as GreylistEvent)
  }
  const [one, two] = [makeSession('one'), makeSession('two')]
  const lines = logged(() => {
    for (const verdict of ['failed', 'failed', 'new', 'failed'] as const) told(one, verdict)
    told(two, 'failed')
  })
  t.strictSame(
    lines.map(({ session, level }) => `${String(session)} ${String(level)}`),
    ['one info', 'one debug', 'one info', 'one debug', 'two info'],
  )
})

t.test('a store that fails is told once a session', async t => {
  const [one, other] = [makeSession('one'), makeSession('other')]
  const error = new Error('the store\r\nis down')
  const lines = logged(() => {
    greylistChannel.publish({
      event: 'failed',
      session: one,
      envelope,
      call: 'greylist',
      error,
    } as unknown as GreylistEvent)
    storeFailureChannel.publish({ session: one, policy: 'rates', error })
    storeFailureChannel.publish({ session: other, policy: 'rates', error })
  })
  t.strictSame(
    lines.map(line => [line['session'], line['policy'], line['level']]),
    [
      ['one', 'greylist', 'warn'],
      ['other', 'rates', 'warn'],
    ],
  )
  t.notMatch(lines[0]!['error'], /[\r\n]/)
})
