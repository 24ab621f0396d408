// Random walks over commands and hooks, against a model of the session: as many replies as the model says, in its order,
// with its codes, and the session where the model says that it stands.

import fc from 'fast-check'
import t from 'tap'
import { reply, SmtpError, SmtpHandler, type HookAnswer, type SmtpHandlerOptions } from '../lib/index.ts'
import { COMMANDS, type Verb } from '../lib/protocol/commands/command-table.ts'
import type { Phase } from '../lib/protocol/commands/phase.ts'
import { converse, rechunk, type Conversation } from '../lib/testing/index.ts'

// ── What hooks do is said in the commands themselves: <now-later-refuse@x> ──

/** What a hook does, and the code that the client hears then. */
const MOODS = { now: 250, later: 250, refuse: 550, refuselater: 550, fail: 451, faillater: 451 } as const
type Mood = keyof typeof MOODS
const moods = fc.constantFrom(...(Object.keys(MOODS) as Mood[]))
const good = fc.oneof({ weight: 4, arbitrary: fc.constant<Mood>('now') }, { weight: 3, arbitrary: moods })

function act(mood: string | undefined): HookAnswer {
  const refusal = reply(550, '5.7.1', 'Refused')
  if (mood === 'later') return Promise.resolve()
  if (mood === 'refuse') return refusal
  if (mood === 'refuselater') return new Promise(resolve => setImmediate(resolve, refusal))
  if (mood === 'fail') throw new Error('a fault')
  if (mood === 'faillater') return Promise.reject(new SmtpError(reply(451, '4.3.0', 'A fault')))
  return undefined
}

const SIZE = 60

function options(refused: boolean): SmtpHandlerOptions {
  return {
    name: 'mx',
    size: SIZE,
    unlawfulPipelining: 'allow',
    limits: { errors: Infinity, softErrors: Infinity, junkCommands: Infinity },
    handleError() {},
    onConnect: () => (refused ? reply(554, '5.7.1', 'Refused') : undefined),
    onHelo: ({ helo }) => act(helo!),
    onMailFrom: ({ localPart }) => act(localPart.split('-')[0]),
    onRcptTo: ({ localPart }) => act(localPart),
    onData: ({ envelope }) => act(envelope!.sender.localPart.split('-')[1]),
    async onMessage(message, { envelope }) {
      const mood = envelope!.sender.localPart.split('-')[2]
      if (mood?.endsWith('later')) for await (const _ of message);
      return act(mood)
    },
  }
}

// ── The model ──

function orderCode(phase: Phase, verb: Verb): number | undefined {
  return COMMANDS.get(verb)!.order[phase]?.code
}

interface Model {
  phase: Phase
  data: Mood
  message: Mood
  /** Octets that the open BDAT sequence has taken. */
  octets: number
}

/** What the client does next: the octets of one command with all that belongs to it, and the codes that it hears. */
interface Action {
  readonly name: string
  step(model: Model): { wire: string; codes: number[] }
}

function command(line: string, verb: Verb | null, happy: (model: Model) => number): Action {
  return {
    name: line,
    step(model) {
      const refusal = model.phase === 'refused' ? 503 : verb === null ? null : (orderCode(model.phase, verb) ?? null)
      return { wire: `${line}\r\n`, codes: [refusal ?? happy(model)] }
    },
  }
}

const helo = (verb: 'HELO' | 'EHLO', mood: Mood): Action =>
  command(`${verb} ${mood}`, verb, model => {
    model.phase = MOODS[mood] === 250 ? 'greeted' : 'connected'
    return MOODS[mood]
  })

const mail = (sender: Mood, data: Mood, message: Mood): Action =>
  command(`MAIL FROM:<${sender}-${data}-${message}@x>`, 'MAIL', model => {
    if (MOODS[sender] === 250) Object.assign(model, { phase: 'sender', data, message, octets: 0 })
    return MOODS[sender]
  })

const rcpt = (mood: Mood): Action =>
  command(`RCPT TO:<${mood}@y>`, 'RCPT', model => {
    if (MOODS[mood] === 250) model.phase = 'recipients'
    return MOODS[mood]
  })

const rset: Action = command('RSET', 'RSET', model => {
  if (model.phase !== 'connected') model.phase = 'greeted'
  return 250
})

const other = fc
  .constantFrom<[string, Verb | null, number]>(
    ['NOOP', null, 250],
    ['VRFY x', null, 252],
    ['EXPN x', null, 502],
    ['HELP', null, 214],
    ['XYZZY', null, 500],
    ['', null, 500],
    ['MAIL', 'MAIL', 501],
    ['RCPT TO:<>', 'RCPT', 501],
    ['DATA x', 'DATA', 501],
    ['RSET x', 'RSET', 501],
    ['XCLIENT ADDR=192.0.2.1', null, 500],
  )
  .map(([line, verb, code]) => command(line, verb, () => code))

/** The one verb that is in order after a greeting that refused. */
const quit: Action = { name: 'QUIT x', step: () => ({ wire: 'QUIT x\r\n', codes: [501] }) }

const data = (length: number): Action => ({
  name: `DATA ${length}`,
  step(model) {
    const { phase } = model
    const refusal = phase === 'refused' ? 503 : (orderCode(phase, 'DATA') ?? refusalOf(model.data))
    if (refusal !== null) return { wire: 'DATA\r\n', codes: [refusal] }
    model.phase = 'greeted'
    const reads = model.message.endsWith('later')
    const over = length + 2 > SIZE && (reads || MOODS[model.message] === 250)
    return { wire: `DATA\r\n${'x'.repeat(length)}\r\n.\r\n`, codes: [354, over ? 552 : MOODS[model.message]] }
  },
})

const bdat = (length: number, last: boolean): Action =>
  ({
    name: `BDAT ${length}${last ? ' LAST' : ''}`,
    step(model) {
      // What a server does not take for octets, after a refused greeting, is one more wrong command.
      if (model.phase === 'refused') return { wire: 'BDAT 0 LAST\r\n', codes: [503] }
      const wire = `BDAT ${length}${last ? ' LAST' : ''}\r\n${'NOOP\r\n'.repeat(length).slice(0, length).replaceAll(/\r|\n/g, ' ')}`
      return { wire, codes: [this.code(model)] }
    },
    code(model: Model): number {
      const within = model.phase === 'recipients' || model.phase === 'chunks' || model.phase === 'failed'
      const first = model.phase === 'recipients'
      const order = orderCode(model.phase, 'BDAT') ?? null
      const early = model.message.startsWith('refuse') || model.message.startsWith('fail')
      const reads = model.message.endsWith('later')
      let code = order
      if (code === null && model.octets + length > SIZE) code = 552
      if (code === null && first) code = refusalOf(model.data)
      if (code === null && (last || (early && !reads))) code = MOODS[model.message]
      if (!within) return code!
      model.octets += length
      model.phase = last ? 'greeted' : code === null ? 'chunks' : 'failed'
      return code ?? 250
    },
  }) as Action & { code(model: Model): number }

function refusalOf(mood: Mood): number | null {
  return MOODS[mood] === 250 ? null : MOODS[mood]
}

const length = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 30 }), fc.constant(SIZE + 1))
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom('HELO' as const, 'EHLO' as const), good).map(([v, m]) => helo(v, m)),
  },
  { weight: 4, arbitrary: fc.tuple(good, good, good).map(([a, b, c]) => mail(a, b, c)) },
  { weight: 5, arbitrary: good.map(rcpt) },
  { weight: 3, arbitrary: length.map(data) },
  { weight: 6, arbitrary: fc.tuple(length, fc.boolean()).map(([n, last]) => bdat(n, last)) },
  { weight: 1, arbitrary: fc.constant(rset) },
  { weight: 2, arbitrary: other },
  { weight: 1, arbitrary: fc.constant(quit) },
)

const begin = (refused: boolean): Model => ({
  phase: refused ? 'refused' : 'connected',
  data: 'now',
  message: 'now',
  octets: 0,
})

// ── The walks ──

interface Real {
  readonly c: Conversation
  readonly handler: SmtpHandler
}

class Step implements fc.AsyncCommand<Model, Real> {
  readonly #action: Action

  constructor(action: Action) {
    this.#action = action
  }

  check(): boolean {
    return true
  }

  async run(model: Model, { c, handler }: Real): Promise<void> {
    const { wire, codes } = this.#action.step(model)
    c.write(wire)
    for (const code of codes) await c.expect(code)
    if (c.unread > 0) throw new Error('a reply too many')
    if (handler.session.phase !== model.phase) {
      throw new Error(`${handler.session.phase}, the model: ${model.phase}\n${c.transcript}`)
    }
  }

  toString(): string {
    return this.#action.name
  }
}

t.test('command by command: its replies, and the phase behind it', async t => {
  const steps = fc.commands([action.map(each => new Step(each))], { maxCommands: 40 })
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(19), async (commands, luck) => {
      const refused = luck === 0
      const handler = new SmtpHandler(options(refused))
      const c = converse(handler)
      await c.expect(refused ? 554 : 220)
      await fc.asyncModelRun(() => ({ model: begin(refused), real: { c, handler } }), commands)
      c.reset()
    }),
    { numRuns: 150 },
  )
  t.pass()
})

t.test('all in one group, cut anywhere: the replies of all, in order', async t => {
  const cuts = fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), cuts, async (actions, sizes) => {
      const model = begin(false)
      const steps = actions.map(each => each.step(model))
      const c = converse(new SmtpHandler(options(false)))
      const wire = Buffer.from(`${steps.map(each => each.wire).join('')}QUIT\r\n`)
      for (const piece of rechunk(wire, sizes)) if (!c.write(piece)) await c.drained()
      for (const code of [220, ...steps.flatMap(each => each.codes), 221]) await c.expect(code)
      await c.closed()
      return c.unread === 0 && !c.unfinished
    }),
    { numRuns: 150 },
  )
  t.pass()
})
