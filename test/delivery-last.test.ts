// The delivery is asked last: what a relay passes on was refused by nobody, whatever the order of the policies, and
// whether hooks answer at once or later.

import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Delivery, HookAnswer, JudgingHooks, Policy } from '../lib/smtp/hooks.ts'
import type { Message } from '../lib/smtp/message.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import type { Conversation } from '../lib/testing/conversation.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply, type Reply } from '../lib/words/reply.ts'
import { begin, deliver, MAIL, quit } from './fixtures/dialogue.ts'
import { settle } from './fixtures/fake-clock.ts'
import { watchProcess } from './fixtures/hooks.ts'

watchProcess(t)

/** Who judges: three policies, the handler's own hooks, and the delivery. */
const JUDGES = ['a', 'b', 'c', 'own', 'relay'] as const
type Judge = (typeof JUDGES)[number]

/** How each judge answers. */
type Timing = (answer: Reply | undefined) => HookAnswer

const now: Timing = answer => answer
const later: Timing = async answer => {
  await settle(1)
  return answer
}
const thrown: Timing = answer => {
  if (answer !== undefined) throw new SmtpError(answer)
}
const rejected: Timing = answer => (answer === undefined ? Promise.resolve() : Promise.reject(new SmtpError(answer)))

const ORDERS: readonly (readonly Judge[])[] = [
  ['a', 'b', 'c'],
  ['a', 'c', 'b'],
  ['b', 'a', 'c'],
  ['b', 'c', 'a'],
  ['c', 'a', 'b'],
  ['c', 'b', 'a'],
]

const refusal = (judge: Judge): Reply => reply(550, '5.7.1', `Refused by ${judge}`)

/** A judge that refuses the recipient and the sender with its own name. */
function judging(judge: Judge, timing: Timing, log: string[], refusesData = false): JudgingHooks {
  return {
    onMailFrom({ localPart }) {
      log.push(`${judge} MAIL ${localPart}`)
      return timing(localPart === judge ? refusal(judge) : undefined)
    },
    onRcptTo({ localPart }) {
      log.push(`${judge} RCPT ${localPart}`)
      return timing(localPart === judge ? refusal(judge) : undefined)
    },
    onData() {
      log.push(`${judge} DATA`)
      return timing(refusesData ? refusal(judge) : undefined)
    },
    onReset: () => void log.push(`${judge} RESET`),
    onClose: () => void log.push(`${judge} CLOSE`),
  }
}

/** Passes on what it hears of, as a relay does. */
function relaying(hooks: JudgingHooks, log: string[]): Delivery {
  return {
    name: 'relay',
    ...(hooks as Pick<Delivery, 'onMailFrom' | 'onRcptTo' | 'onData' | 'onReset' | 'onClose'>),
    offer: (_, { size, extensions }) => ({ size: Math.min(size, 1000), extensions }),
    async onMessage(message: Message, { envelope }) {
      const { sender, recipients } = envelope
      const to = recipients.map(({ localPart }) => localPart).join('+')
      log.push(`relay MESSAGE ${sender.localPart} to ${to}: ${(await text(message)).length}`)
    },
  }
}

interface Cast {
  readonly order?: readonly Judge[]
  readonly timing?: (judge: Judge) => Timing
  readonly refusesData?: Judge
}

/** A session with all five judges; the log has what each of them heard of. */
function stage({ order = ORDERS[0]!, timing = () => now, refusesData }: Cast): { handler: SmtpHandler; log: string[] } {
  const log: string[] = []
  const hooks = (judge: Judge) => judging(judge, timing(judge), log, refusesData === judge)
  const policies: Policy[] = order.map(judge => ({ name: judge, ...hooks(judge) }))
  const options: SmtpHandlerOptions = { ...hooks('own'), policies, delivery: relaying(hooks('relay'), log) }
  return { handler: new SmtpHandler(options), log }
}

const of = (judge: Judge, log: readonly string[]): string[] =>
  log.filter(each => each.startsWith(`${judge} `)).map(each => each.slice(judge.length + 1))

/** RCPT for each judge's own name, and for one whom nobody refuses. */
async function addressAll(c: Conversation): Promise<void> {
  for (const judge of JUDGES) {
    await c.command(`RCPT TO:<${judge}@example.org>`, `550 5.7.1 Refused by ${judge}`)
  }
  await c.command('RCPT TO:<good@example.org>', 250)
}

t.test(
  'each judge refuses one recipient, in every order, at once or later: the delivery hears of the others',
  async t => {
    for (const order of ORDERS) {
      for (let mask = 0; mask < 2 ** JUDGES.length; mask++) {
        const timing = (judge: Judge) => ((mask >> JUDGES.indexOf(judge)) & 1 ? later : now)
        const { handler, log } = stage({ order, timing })
        const c = await begin(handler)
        await c.command('MAIL FROM:<sender@client.example>', 250)
        await addressAll(c)
        await deliver(c, 250)
        await quit(c)
        const heard = of('relay', log)
        const expected = [
          'MAIL sender',
          'RCPT relay',
          'RCPT good',
          'DATA',
          `MESSAGE sender to good: ${MAIL.length}`,
          'RESET',
          'CLOSE',
        ]
        if (JSON.stringify(heard) !== JSON.stringify(expected))
          t.strictSame(heard, expected, `${String(order)} ${mask}`)
      }
      t.pass(String(order))
    }
  },
)

t.test('after a refusal no further hook is asked; the order: policies, the own hook, the delivery', async t => {
  for (const order of ORDERS) {
    for (const timing of [now, later, thrown, rejected]) {
      const { handler, log } = stage({ order, timing: () => timing })
      const c = await begin(handler)
      await c.command('MAIL FROM:<sender@client.example>', 250)
      log.length = 0
      await addressAll(c)
      const all = [...order, 'own', 'relay']
      const expected = [...JUDGES, 'good'].flatMap(recipient => {
        const last = recipient === 'good' ? all.length : all.indexOf(recipient) + 1
        return all.slice(0, last).map(judge => `${judge} RCPT ${recipient}`)
      })
      t.strictSame(log, expected, String(order))
      await quit(c)
    }
  }
})

t.test('a MAIL or DATA that is refused never comes to the delivery; its own refusal counts', async t => {
  for (const order of ORDERS) {
    for (const timing of [now, later, thrown, rejected]) {
      for (const judge of JUDGES) {
        const { handler, log } = stage({ order, timing: () => timing, refusesData: judge })
        const c = await begin(handler)
        await c.command(`MAIL FROM:<${judge}@client.example>`, `550 5.7.1 Refused by ${judge}`)
        t.strictSame(of('relay', log), judge === 'relay' ? ['MAIL relay'] : [], `MAIL, ${judge}`)
        log.length = 0
        for (const line of ['DATA', 'BDAT 3\r\nx\r\n']) {
          await c.command('MAIL FROM:<sender@client.example>', 250)
          await c.command('RCPT TO:<good@example.org>', 250)
          if (line === 'DATA') await c.send(line)
          else c.write(line)
          await c.expect(`550 5.7.1 Refused by ${judge}`)
          await c.command('RSET', 250)
          const asked = judge === 'relay' ? ['DATA'] : []
          t.strictSame(of('relay', log), ['MAIL sender', 'RCPT good', ...asked, 'RESET'], `${line}, ${judge}`)
          log.length = 0
        }
        await quit(c)
      }
    }
  }
})

t.test('the words of the delivery are the last, if nobody refuses', async () => {
  const say = (who: string): JudgingHooks => ({
    onMailFrom: () => reply(250, '2.1.0', `MAIL ${who}`),
    onRcptTo: async () => reply(250, '2.1.5', `RCPT ${who}`),
    onData: () => reply(354, `DATA ${who}`),
  })
  const { onMailFrom, onRcptTo, onData } = say('relay') as Required<JudgingHooks>
  const delivery: Delivery = { onMailFrom, onRcptTo, onData, onMessage: () => reply(250, '2.0.0', 'MESSAGE relay') }
  const c = await begin(new SmtpHandler({ ...say('own'), policies: [say('policy')], delivery }))
  await c.command('MAIL FROM:<a@b.example>', '250 2.1.0 MAIL relay')
  await c.command('RCPT TO:<c@d.example>', '250 2.1.5 RCPT relay')
  await c.command('DATA', '354 DATA relay')
  await c.data(MAIL)
  await c.expect('250 2.0.0 MESSAGE relay')
})

t.test('onReset and onClose come to the delivery, last, however the transaction or the session ends', async t => {
  const told = (what: string): string[] => ['a', 'b', 'c', 'own', 'relay'].map(judge => `${judge} ${what}`)
  const address = async (c: Conversation): Promise<void> => {
    await c.command('MAIL FROM:<sender@client.example>', 250)
    await c.command('RCPT TO:<good@example.org>', 250)
  }
  const ends: Record<string, [(c: Conversation) => Promise<unknown>, resets: number]> = {
    RSET: [c => c.command('RSET', 250), 1],
    'a new EHLO': [c => c.command('EHLO other.example', 250), 1],
    'the verdict': [c => deliver(c, 250), 1],
    'RSET in a BDAT sequence': [c => c.command('BDAT 3\r\nx', 250).then(() => c.command('RSET', 250)), 1],
    QUIT: [c => c.command('QUIT', 221), 0],
    'a reset connection': [async c => c.reset(), 0],
  }
  for (const [name, [end, resets]] of Object.entries(ends)) {
    const { handler, log } = stage({})
    const c = await begin(handler)
    await address(c)
    log.length = 0
    await end(c)
    await settle()
    const resetsSeen = log.filter(each => each.endsWith(' RESET'))
    t.strictSame(resetsSeen, resets === 1 ? told('RESET') : [], name)
    c.end()
    await c.closed()
    await settle()
    const closes = log.filter(each => each.endsWith(' CLOSE'))
    t.strictSame(closes, told('CLOSE'), `${name}, then the end`)
  }
})

t.test('`this` is the delivery in its hooks', async t => {
  class Relay implements Delivery {
    readonly seen: string[] = []
    onRcptTo({ localPart }: { readonly localPart: string }): void {
      this.seen.push(`RCPT ${localPart}`)
    }
    onMessage(): void {
      this.seen.push('MESSAGE')
    }
    onReset(): void {
      this.seen.push('RESET')
    }
    onClose(): void {
      this.seen.push('CLOSE')
    }
  }
  const delivery = new Relay()
  const c = await begin(new SmtpHandler({ delivery }))
  await c.command('MAIL FROM:<a@b.example>', 250)
  await c.command('RCPT TO:<c@d.example>', 250)
  await deliver(c, 250)
  await quit(c)
  t.strictSame(delivery.seen, ['RCPT c', 'MESSAGE', 'RESET', 'CLOSE'])
})

t.test('two takers are ERR_OPTION: by option, by method, by inheritance, by class field', t => {
  const delivery: Delivery = { onMessage() {} }
  class Method extends SmtpHandler {
    override onMessage(): void {}
  }
  class Inherited extends Method {}
  const wrong = { code: 'ERR_OPTION', message: /delivery and onMessage both take messages/ }
  // @ts-expect-error -- two would take messages
  t.throws(() => new SmtpHandler({ delivery, onMessage() {} }), wrong)
  t.throws(() => new Method({ delivery }), wrong)
  t.throws(() => new Inherited({ delivery }), wrong)
  t.doesNotThrow(() => new Method())
  t.doesNotThrow(() => new SmtpHandler({ delivery }))
  t.end()
})
