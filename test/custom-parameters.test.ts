// Parameters of MAIL and RCPT that a program adds: `parameters: { mail: { 'X-FOO': parse } }`.

import t from 'tap'
import { readCustom, resolveParameters } from '../lib/smtp/custom-parameters.ts'
import type { Recipient, Sender } from '../lib/smtp/envelope.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { converse } from '../lib/testing/conversation.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { reply } from '../lib/words/reply.ts'
import { begin, quit } from './fixtures/dialogue.ts'
import { watched, watchProcess } from './fixtures/hooks.ts'

watchProcess(t)

const number = (value: string | null): number => {
  if (!/^\d+$/.test(value ?? '')) throw new SmtpError(reply(501, '5.5.4', 'Bad parameter: X-COST takes a number'))
  return Number(value)
}
const flag = (value: string | null): boolean => value === null

t.test('resolveParameters: keywords in their order, each once; frozen', t => {
  const { mail, rcpt, keywords } = resolveParameters({
    mail: { 'X-COST': number, XFLAG: flag },
    rcpt: { XFLAG: flag, XR: flag },
  })
  t.strictSame([...mail.keys()], ['X-COST', 'XFLAG'])
  t.strictSame([...rcpt.keys()], ['XFLAG', 'XR'])
  t.strictSame(keywords, ['X-COST', 'XFLAG', 'XR'])
  t.ok(Object.isFrozen(keywords))
  t.strictSame(resolveParameters().keywords, [])
  t.end()
})

t.test('resolveParameters: wrong keywords and parsers are ERR_OPTION, by name', t => {
  const table: [object, RegExp][] = [
    [{ mail: { 'x-cost': number } }, /^parameters\.mail\.x-cost: /],
    [{ mail: { X_COST: number } }, /^parameters\.mail\.X_COST: /],
    [{ mail: { '-X': number } }, /^parameters\.mail\.-X: /],
    [{ mail: { '': number } }, /^parameters\.mail\.: /],
    [{ mail: { SIZE: number } }, /^parameters\.mail\.SIZE: the session knows/],
    [{ mail: { BODY: number } }, /^parameters\.mail\.BODY: the session knows/],
    [{ rcpt: { ORCPT: number } }, /^parameters\.rcpt\.ORCPT: the session knows/],
    [{ rcpt: { XR: 'text' } }, /^parameters\.rcpt\.XR is a function/],
    [{ male: { XR: number } }, /^parameters\.male: there is no such option; did you mean mail\?/],
    [{ mail: number }, /^parameters\.mail /],
  ]
  for (const [options, message] of table) {
    t.throws(() => resolveParameters(options), { code: 'ERR_OPTION', message }, String(message))
  }
  t.throws(() => resolveParameters('X' as never), { code: 'ERR_OPTION' })
  t.end()
})

t.test('readCustom parts them from the others', t => {
  const given = new Map([
    ['SIZE', '1'],
    ['X-COST', '5'],
    ['XFLAG', null],
  ])
  const { custom, others } = readCustom(given, resolveParameters({ mail: { 'X-COST': number, XFLAG: flag } }).mail)
  t.strictSame(
    [...custom],
    [
      ['X-COST', 5],
      ['XFLAG', true],
    ],
  )
  t.strictSame([...others], [['SIZE', '1']])
  t.end()
})

// ── In a session ──

const parameters = { mail: { 'X-COST': number, XFLAG: flag }, rcpt: { XFLAG: flag } }

t.test('EHLO lists them, HELO does not', async t => {
  const c = converse(new SmtpHandler({ name: 'mx', parameters, size: 1 }))
  await c.expect(220)
  t.match((await c.command('EHLO c.example', 250)).text, /^250-X-COST\n250 XFLAG$/m)
  t.notMatch((await c.command('HELO c.example', 250)).text, /X-COST|XFLAG/)
  await quit(c)
})

t.test('their values reach the hooks, typed, in any case of the keyword, beside those of the session', async t => {
  const senders: Sender[] = []
  const recipients: Recipient[] = []
  const handler = new SmtpHandler({
    parameters,
    onMailFrom: sender => void senders.push(sender),
    onRcptTo: recipient => void recipients.push(recipient),
    onMessage() {},
  })
  const c = await begin(handler)
  await c.command('MAIL FROM:<a@b.example> SIZE=100 x-cost=5 BODY=8BITMIME XFLAG', 250)
  await c.command('RCPT TO:<c@d.example> XFLAG=no', 250)
  await c.command('RCPT TO:<e@d.example>', 250)
  const [sender] = senders
  t.match(sender?.parameters, { size: 100, body: '8BITMIME' })
  t.strictSame(
    [...(sender?.parameters.custom ?? [])],
    [
      ['X-COST', 5],
      ['XFLAG', true],
    ],
  )
  t.ok(Object.isFrozen(sender?.parameters))
  t.equal(handler.session.envelope?.parameters.custom, sender?.parameters.custom)
  t.strictSame([...(recipients[0]?.parameters.custom ?? [])], [['XFLAG', false]])
  t.equal(recipients[1]?.parameters.custom, undefined)
  await quit(c)
})

t.test('an SmtpError of a parser is the refusal; another error is 451 and reported', async t => {
  const boom = new Error('/etc/secret')
  const { handler, errors } = watched({
    parameters: {
      mail: { 'X-COST': number, 'X-BOOM': () => thrown(boom) },
      rcpt: { 'X-COST': number, 'X-BOOM': () => thrown(boom) },
    },
    onMailFrom: ({ parameters: { size } }) => (size === 7 ? undefined : void t.fail('asked of a refused MAIL')),
    onMessage() {},
  })
  const c = await begin(handler)
  await c.command('MAIL FROM:<a@b.example> X-COST=many', '501 5.5.4 Bad parameter: X-COST takes a number')
  await c.command('MAIL FROM:<a@b.example> X-COST', '501 5.5.4 Bad parameter: X-COST takes a number')
  t.strictSame(errors, [])
  await c.command('MAIL FROM:<a@b.example> X-BOOM', '451 4.3.0 Local error, please try again later')
  t.strictSame(errors.splice(0), [boom])
  t.equal(handler.session.envelope, null)
  await c.command('MAIL FROM:<a@b.example> SIZE=7', 250)
  await c.command('RCPT TO:<c@d.example> X-COST=many', '501 5.5.4 Bad parameter: X-COST takes a number')
  await c.command('RCPT TO:<c@d.example> X-BOOM', '451 4.3.0 Local error, please try again later')
  t.strictSame(errors, [boom])
  t.strictSame(handler.session.envelope?.recipients, [])
  await quit(c)
})

function thrown(error: Error): never {
  throw error
}

t.test('555 for those that are unknown, with their names', async () => {
  const c = await begin(new SmtpHandler({ parameters, onMessage() {} }))
  for (const [given, shown] of [
    ['X-OTHER=1', 'X-OTHER'],
    ['x-other', 'X-OTHER'],
    ['X-COST=1 SIZE=2 RET=HDRS', 'RET'],
    ['__PROTO', null],
  ] as const) {
    await c.command(
      `MAIL FROM:<a@b.example> ${given}`,
      shown === null ? 501 : new RegExp(`^555 5\\.5\\.4 .*\\b${shown}\\b`),
    )
  }
  await c.command('MAIL FROM:<a@b.example>', 250)
  await c.command('RCPT TO:<c@d.example> X-COST=1', /^555 5\.5\.4 .*\bX-COST\b/)
  await quit(c)
  const plain = await begin(new SmtpHandler({ onMessage() {} }))
  await plain.command('MAIL FROM:<a@b.example> X-COST=1', /^555 5\.5\.4 .*\bX-COST\b/)
  await plain.command('MAIL FROM:<a@b.example> constructor', /^555 5\.5\.4 .*\bCONSTRUCTOR\b/)
  await quit(plain)
})

t.test('501 names the parameter too', async () => {
  const c = await begin(new SmtpHandler({ parameters, onMessage() {} }))
  await c.command('MAIL FROM:<a@b.example> SIZE=many', /^501 5\.5\.4 .*\bSIZE\b/)
  await c.command('MAIL FROM:<a@b.example> BODY=9BIT', /^501 5\.5\.4 .*\bBODY\b/)
  await c.command('MAIL FROM:<a@b.example> XFLAG XFLAG', /^501 5\.5\.4 .*\bXFLAG\b/)
  await quit(c)
})

t.test('after HELO there are none', async () => {
  const c = converse(new SmtpHandler({ parameters, onMessage() {} }))
  await c.expect(220)
  await c.command('HELO c.example', 250)
  await c.command('MAIL FROM:<a@b.example> X-COST=1', 555)
  await c.command('MAIL FROM:<a@b.example>', 250)
  await c.command('RCPT TO:<c@d.example> XFLAG', 555)
  await quit(c)
})
