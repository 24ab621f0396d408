// What a transaction counts: which replies accept, refuse, or are neither, and what a phase allows.

import { Readable } from 'node:stream'
import t from 'tap'
import { SmtpClient, type SmtpClientOptions } from '../lib/client.ts'
import { settle } from './fixtures/fake-clock.ts'
import { serveScript, type Script, type ScriptedServer } from './fixtures/scripted-server.ts'

function scripted(
  script: Script = {},
  options: SmtpClientOptions = {},
): { client: SmtpClient; server: ScriptedServer } {
  const client = new SmtpClient({ name: 'client.example', tls: { mode: 'never' }, ...options })
  return { client, server: serveScript(client, script) }
}

t.test('a refused MAIL or RCPT accepts nothing: 354 after it is out of place', async t => {
  for (const code of [400, 450, 500, 550, 599]) {
    for (const verb of ['MAIL', 'RCPT']) {
      const { client, server } = scripted({ [verb]: `${code} No\r\n` })
      const all = [client.mail('a@b'), client.rcpt('c@d'), client.data('x')]
      const settled = await Promise.allSettled(all)
      t.match(settled[2], { reason: { code: 'ERR_REPLY_UNEXPECTED', step: 'DATA' } }, `${verb} ${code}`)
      await settle()
      t.strictSame(server.messages, [])
    }
  }
})

t.test('a reply before the end of mail data: refusals from 400 to 599', async t => {
  for (const [code, expected] of [
    [399, { code: 'ERR_REPLY_UNEXPECTED', step: 'data' }],
    [400, [{ code: 400 }]],
    [599, [{ code: 599 }]],
    [600, { code: 'ERR_REPLY_UNEXPECTED', step: 'data' }],
  ] as const) {
    const { client, server } = scripted()
    await client.mail('a@b')
    await client.rcpt('c@d')
    const source = new Readable({ read() {} })
    const message = client.data(source).catch((error: unknown) => error)
    await settle()
    server.say(`${code} Hm\r\n`)
    t.match(await message, expected)
    t.match(client.failure, { code: 'ERR_REPLY_UNEXPECTED', reply: { code } })
    t.equal(source.destroyed, true)
  }
})

t.test('a reply between 354 and the mail data ends it', async t => {
  const { client, server } = scripted()
  await client.mail('a@b')
  await client.rcpt('c@d')
  t.match(await client.startData(), { code: 354 })
  server.say('451 Too late\r\n')
  await settle()
  t.match(client.failure, { code: 'ERR_REPLY_UNEXPECTED', step: 'data', reply: { code: 451 } })
  await t.rejects(client.sendData('x'), { code: 'ERR_SESSION_ENDED' })
})

t.test('what each phase allows', async t => {
  const order = { code: 'ERR_ORDER' }
  const { client, server } = scripted()
  t.match(await client.mail('a@b'), { code: 250 })
  await t.rejects(client.mail('a@b'), { ...order, step: 'MAIL' }, 'open')
  t.match(await client.rcpt('c@d'), { code: 250 })
  t.match(await client.startData(), { code: 354 })
  for (const [step, call] of [
    ['MAIL', () => client.mail('a@b')],
    ['RCPT', () => client.rcpt('a@b')],
    ['DATA', () => client.startData()],
    ['BDAT', () => client.bdat('x')],
  ] as [string, () => Promise<unknown>][]) {
    await t.rejects(call(), { ...order, step, message: /sendData/ }, 'granted')
  }
  const reset = client.rset()
  await settle()
  t.equal(server.verbs.at(-1), 'DATA', 'RSET waits')
  t.match(await client.sendData('x'), [{ code: 250 }])
  t.match(await reset, { code: 250 })
  await t.rejects(client.sendData('x'), { ...order, step: 'data' })
  t.match(await client.mail('e@f'), { code: 250 }, 'free again')
  t.match(await client.rset(), { code: 250 })
  await t.rejects(client.mail('e f'), { code: 'ERR_OPTION' })
  await t.rejects(client.rcpt('c@d'), { ...order, step: 'RCPT' }, 'unwritten')
  t.match(await client.rset(), { code: 250 })
  t.match(await client.rcpt('c@d'), { code: 250 }, 'which the server may judge')
  t.match(await client.mail('a@b'), { code: 250 })
})

t.test('a refused RSET ends nothing', async t => {
  const { client } = scripted({ RSET: '450 Not now\r\n' })
  await client.mail('a@b')
  await client.rcpt('c@d')
  const source = new Readable({ read() {} })
  source.push('a\nb')
  await t.rejects(client.bdat(source), { code: 'ERR_BARE_NEWLINE' })
  t.match(await client.rset(), { code: 450 })
  await t.rejects(client.mail('a@b'), { code: 'ERR_ORDER' })
  await t.rejects(client.bdat('x'), { code: 'ERR_ORDER' })
})

t.test('addresses as real senders write them', async t => {
  const { client, server } = scripted()
  await client.mail('a..b@c_d.example')
  await client.rcpt('.x.@c_d.example')
  t.strictSame(server.lines.slice(1), ['MAIL FROM:<a..b@c_d.example>', 'RCPT TO:<.x.@c_d.example>'])
})

t.test('parameters of both', async t => {
  const { client, server } = scripted({ EHLO: '250-mx\r\n250-SIZE\r\n250-DSN\r\n250 8BITMIME\r\n' })
  await client.mail('a@b', { size: 5, body: '8BITMIME', ret: 'HDRS' })
  await client.rcpt('c@d', { notify: ['FAILURE'], orcpt: { type: 'rfc822', address: 'e+f@g' } })
  t.strictSame(server.lines.slice(1), [
    'MAIL FROM:<a@b> SIZE=5 BODY=8BITMIME RET=HDRS',
    'RCPT TO:<c@d> NOTIFY=FAILURE ORCPT=rfc822;e+2Bf@g',
  ])
})

t.test('the connection lost between 354 and the mail data', async t => {
  const { client, server } = scripted()
  await client.mail('a@b')
  await client.rcpt('c@d')
  await client.startData()
  const data = client.sendData(new Readable({ read() {} }))
  server.socket.destroy()
  await t.rejects(data, { code: 'ERR_CONNECTION_LOST', step: 'data' })
  await t.rejects(client.bdat('x'), { code: 'ERR_SESSION_ENDED' })
})
