// relay(): what the client is told, and what arrives.

import t from 'tap'
import { reply, type Policy } from '../lib/index.ts'
import { relay } from '../lib/relay.ts'
import { settle } from './fixtures/fake-clock.ts'
import { freePort } from './fixtures/free-port.ts'
import { BY_BDAT, BY_DATA, front, MAIL, offers, sendMail, startUpstream } from './fixtures/upstream.ts'

const UNSTUFFED = MAIL.replace('..stuffed', '.stuffed')

for (const [how, script, arrives] of [
  ['DATA', BY_DATA, MAIL],
  ['BDAT', BY_BDAT, UNSTUFFED],
] as const) {
  t.test(`by ${how}: the replies of the upstream at each command, and the mail data octet for octet`, async t => {
    const upstream = await startUpstream(t, {
      ...script,
      RCPT: line => `250 2.1.5 ${line.includes('<b@') ? 'Bee' : 'Cee'} is welcome\r\n`,
      DATA: '354 Give it to me\r\n',
      end: '250 2.6.0 Queued as 4711\r\n',
      BDAT: '250 2.6.0 Queued as 4711\r\n',
    })
    const { c } = await front(t, { host: '127.0.0.1', port: upstream.port })
    t.strictSame(await sendMail(c, ['b@example.org', 'c@example.org']), [
      '250 2.1.0 OK',
      '250 2.1.5 Bee is welcome',
      '250 2.1.5 Cee is welcome',
      how === 'DATA' ? '354 Give it to me' : '354 Start mail input; end with <CRLF>.<CRLF>',
      '250 2.6.0 Queued as 4711',
    ])
    t.strictSame(upstream.messages, [arrives])
    t.equal(upstream.connections.length, 1)
    t.strictSame(upstream.connections[0]!.lines.slice(0, 4), [
      'EHLO relay.example',
      'MAIL FROM:<a@client.example>',
      'RCPT TO:<b@example.org>',
      'RCPT TO:<c@example.org>',
    ])
  })

  t.test(`by ${how}: a message that the client does not end is never ended`, async t => {
    const upstream = await startUpstream(t, script)
    const { c } = await front(t, { host: '127.0.0.1', port: upstream.port })
    await c.command('MAIL FROM:<a@client.example>', 250)
    await c.command('RCPT TO:<b@example.org>', 250)
    await c.command('DATA', 354)
    c.write(`Subject: x\r\n\r\n${'y'.repeat(70)}\r\n`.repeat(10_000))
    await settle(20)
    c.reset()
    await settle(20)
    t.strictSame(upstream.messages, [])
    t.notOk(upstream.connections[0]!.lines.some(line => line.endsWith('LAST')))
  })
}

t.test('MAIL and the first RCPT leave together, and not before the policies have accepted it', async t => {
  const upstream = await startUpstream(t)
  const greylist: Policy = {
    onRcptTo: ({ localPart }) => (localPart === 'grey' ? reply(451, '4.7.1', 'Later') : undefined),
  }
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port }, { policies: [greylist] })
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<grey@example.org>', /^451 4\.7\.1 Later/)
  await settle()
  t.equal(upstream.connections.length, 0)
  await c.command('RCPT TO:<b@example.org>', 250)
  const { received } = upstream.connections[0]!
  t.match(received.toString(), /MAIL FROM:<a@client\.example>\r\nRCPT TO:<b@example\.org>\r\n$/)
  t.notMatch(received.toString(), /grey/)
})

t.test('a refused MAIL is told at each RCPT, and nothing is asked again', async t => {
  const upstream = await startUpstream(t, {
    ...BY_DATA,
    MAIL: '550 5.7.1 Not from you\r\n',
    RCPT: '503 5.5.1 MAIL first\r\n',
  })
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port })
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@example.org>', '550 5.7.1 Not from you')
  await c.command('RCPT TO:<c@example.org>', '550 5.7.1 Not from you')
  t.equal(upstream.connections.length, 1)
  t.equal(upstream.verbs.filter(verb => verb === 'RCPT').length, 1)
  await c.command('RSET', 250)
  await c.command('MAIL FROM:<a@client.example>', 250)
})

t.test('when: mail asks at MAIL', async t => {
  const upstream = await startUpstream(t, {
    ...BY_DATA,
    MAIL: line => (line.includes('<bad@') ? '550 5.7.1 Not from you\r\n' : '250 2.1.0 Fine\r\n'),
  })
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port, when: 'mail' })
  await c.command('MAIL FROM:<bad@client.example>', '550 5.7.1 Not from you')
  await c.command('MAIL FROM:<a@client.example>', '250 2.1.0 Fine')
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('DATA', 354)
  c.write(`${MAIL}.\r\n`)
  await c.expect('250 2.0.0 Taken')
  t.strictSame(upstream.messages, [MAIL])
})

t.test('a refusal comes through as it is, one by one', async t => {
  const upstream = await startUpstream(t, {
    ...BY_DATA,
    RCPT: line =>
      line.includes('<b@') ? '250 2.1.5 OK\r\n' : '550-5.1.1 No such user\r\n550 5.1.1 <here>\x07\tnever\r\n',
    end: '554 5.6.0 I do not like it\r\n',
  })
  const { c, errors } = await front(t, { host: '127.0.0.1', port: upstream.port })
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<x@example.org>', '550-5.1.1 No such user\n550 5.1.1 <here>never')
  await c.command('RCPT TO:<b@example.org>', 250)
  await c.command('RCPT TO:<y@example.org>', 550)
  await c.command('DATA', 354)
  c.write(`${MAIL}.\r\n`)
  await c.expect('554 5.6.0 I do not like it')
  t.strictSame(errors, [])
})

t.test('DATA that is refused: the client gets no 354', async t => {
  const upstream = await startUpstream(t, { ...BY_DATA, DATA: '450 4.3.0 Not now\r\n' })
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port })
  t.equal((await sendMail(c)).at(-1), '450 4.3.0 Not now')
})

t.test('what is about the relay is 451 and reported, and does not bounce mail', async t => {
  for (const [step, code] of [
    ['greeting', 554],
    ['EHLO', 550],
    ['MAIL', 530],
    ['RCPT', 535],
    ['DATA', 503],
    ['end', 500],
    ['MAIL', 538],
    ['RCPT', 502],
  ] as const) {
    const upstream = await startUpstream(t, {
      ...BY_DATA,
      [step]: `${code} 5.7.8 The password of the relay has expired\r\n`,
    })
    const { c, errors } = await front(t, { host: '127.0.0.1', port: upstream.port })
    const replies = await sendMail(c)
    const refusal = replies.find(each => /^[45]/.test(each))
    t.match(refusal, /^451 4\.3\.5 /, `${code} at ${step}`)
    t.notMatch(refusal, /password/)
    t.not(errors.length, 0, `${code} at ${step} is reported`)
    t.notOk(replies.some(each => /^5(?!03 5.5.1 Send RCPT first)/.test(each)))
  }
})

t.test('trouble of the upstream is 4yz', async t => {
  const upstream = await startUpstream(t, { ...BY_DATA, RCPT: '421 4.3.2 mx7.internal shuts down\r\n' })
  const { c } = await front(t, { host: '127.0.0.1', port: upstream.port })
  const [, rcpt] = await sendMail(c)
  t.match(rcpt, /^451 4\.3\.2 /)
  t.notMatch(rcpt, /internal/)
  const { c: other } = await front(t, { host: '127.0.0.1', port: await freePort() })
  t.match((await sendMail(other))[1], /^451 4\.4\.1 /, 'refused')
})

t.test('parameters pass as far as the upstream offers them', async t => {
  const offered = offers('PIPELINING', 'SIZE', '8BITMIME', 'DSN')
  let EHLO = offered
  const upstream = await startUpstream(t, { EHLO: () => EHLO })
  const to = { host: '127.0.0.1', port: upstream.port, pool: { uses: 1 } }
  const { c, delivery } = await front(t, to, { extensions: { DSN: true } })
  await delivery.probe()
  await c.command('EHLO client.example', /DSN/)
  const say = async (): Promise<readonly string[]> => {
    await c.command('MAIL FROM:<a@client.example> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=x', 250)
    await c.command('RCPT TO:<b@example.org> NOTIFY=NEVER', 250)
    await c.command('RSET', 250)
    return upstream.connections.at(-1)!.lines.slice(1, 3)
  }
  t.strictSame(await say(), [
    'MAIL FROM:<a@client.example> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=x',
    'RCPT TO:<b@example.org> NOTIFY=NEVER',
  ])
  EHLO = offers('PIPELINING')
  t.strictSame(await say(), ['MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.org>'], 'offered no longer')
})

t.test('what the upstream can no longer take is refused before DATA', async t => {
  let EHLO = offers('PIPELINING', '8BITMIME', 'SMTPUTF8', 'CHUNKING', 'BINARYMIME')
  const upstream = await startUpstream(t, { EHLO: () => EHLO })
  const { c, delivery } = await front(t, { host: '127.0.0.1', port: upstream.port, eightBit: 'refuse' })
  await delivery.probe()
  await c.command('EHLO client.example', /SMTPUTF8[^]*BINARYMIME|BINARYMIME[^]*SMTPUTF8/)
  EHLO = offers('PIPELINING')
  await c.command('MAIL FROM:<a@client.example> SMTPUTF8', 250)
  await c.command('RCPT TO:<b@example.org>', /^553 5\.6\.7 /)
  await c.command('RCPT TO:<c@example.org>', /^553 5\.6\.7 /)
  await c.command('RSET', 250)
  await c.command('MAIL FROM:<a@client.example> BODY=8BITMIME', 250)
  await c.command('RCPT TO:<b@example.org>', /^554 5\.6\.3 /)
  await c.command('RSET', 250)
  await c.command('MAIL FROM:<a@client.example> BODY=BINARYMIME', 250)
  await c.command('RCPT TO:<b@example.org>', /^451 4\.3\.5 /)
  await c.command('RSET', 250)
  await c.command('MAIL FROM:<a@client.example>', 250)
  await c.command('RCPT TO:<b@example.org>', 250)
  t.equal(upstream.verbs.filter(verb => verb === 'MAIL').length, 1)
})

t.test('fields in front, and a loop is seen before the first octet leaves', async t => {
  for (const script of [BY_DATA, BY_BDAT]) {
    const upstream = await startUpstream(t, script)
    const { c } = await front(t, {
      host: '127.0.0.1',
      port: upstream.port,
      header: () => ({ Received: 'by front.example' }),
    })
    t.match((await sendMail(c)).at(-1), /^250 /)
    t.match(upstream.messages[0], /^Received: by front\.example\r\nSubject: hello\r\n/)

    const send = async (received: number): Promise<string> => {
      await c.command('MAIL FROM:<a@client.example>', 250)
      await c.command('RCPT TO:<b@example.org>', 250)
      await c.command('DATA', 354)
      c.write(`${'Received: x\r\n'.repeat(received)}Subject: x\r\n\r\nReceived: in the text\r\n.\r\n`)
      return (await c.expect()).text
    }
    t.match(await send(100), /^250 /)
    t.match(await send(101), /^554 5\.4\.6 /)
    await settle(20)
    t.equal(upstream.messages.length, 2)
    const received = upstream.connections.map(connection => connection.received.toString()).join('')
    t.equal(received.match(/Received: x/g)?.length, 100)
  }
})

t.test('bareNewline: allow acts as normalize', async t => {
  for (const script of [BY_DATA, BY_BDAT]) {
    const upstream = await startUpstream(t, script)
    const { c } = await front(t, { host: '127.0.0.1', port: upstream.port }, { bareNewline: 'allow' })
    await c.command('MAIL FROM:<a@client.example>', 250)
    await c.command('RCPT TO:<b@example.org>', 250)
    await c.command('DATA', 354)
    c.write('Subject: x\n\nbare\rCR\n.\r\nQUIT\r\n.\r\n')
    await c.expect(250)
    t.equal(upstream.messages.length, 1)
    t.notMatch(upstream.messages[0], /[^\r]\n|\r[^\n]/)
  }
})

t.test('options are checked when the relay is made', t => {
  const wrong: readonly [object, RegExp][] = [
    [{}, /a server has a host or a path/],
    [{ host: 'a', path: '/b' }, /a server has a host or a path/],
    [{ host: 'a', port: 0 }, /port/],
    [{ host: 'a', servers: [{ host: 'b' }] }, /host, path or servers/],
    [{ host: 'a', when: 'data' }, /when/],
    [{ host: 'a', hostt: 'b' }, /hostt/],
    [{ host: 'a', timeouts: { opn: 1 } }, /opn/],
    [{ path: '/a', tls: { mode: 'must' } }, /servername/],
    [{ host: 'a', auth: { user: 'x' } }, /password|token/],
  ]
  for (const [options, message] of wrong) {
    t.throws(() => relay(options), { code: 'ERR_OPTION', message }, JSON.stringify(options))
  }
  t.end()
})
