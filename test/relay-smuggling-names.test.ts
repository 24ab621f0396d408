// Nothing that a client calls itself, its sender, its recipients or its message becomes a command of the relay.

import t from 'tap'
import { settle } from './fixtures/fake-clock.ts'
import { startBelieving } from './fixtures/believing-upstream.ts'
import { LINE_ENDS, MODES } from './fixtures/smuggle.ts'
import { front } from './fixtures/upstream.ts'

t.test('addresses, parameters and names', async t => {
  const injections = LINE_ENDS.map(end => `${end}MAIL FROM:<evil@client.example>${end}`)
  for (const bareNewline of MODES) {
    for (const injection of injections) {
      for (const lines of [
        [`EHLO client${injection}x`],
        [`MAIL FROM:<"a${injection}b"@client.example>`, 'RCPT TO:<b@example.org>'],
        [`MAIL FROM:<a@client.example> ENVID=x${injection}`, 'RCPT TO:<b@example.org>'],
        [`MAIL FROM:<a@client.example> ENVID=x+0D+0AMAIL`, 'RCPT TO:<b@example.org>'],
        [`MAIL FROM:<a@client.example> AUTH=a+0D+0Aevil`, 'RCPT TO:<b@example.org>'],
        ['MAIL FROM:<a@client.example>', `RCPT TO:<"b${injection}"@example.org>`],
        ['MAIL FROM:<a@client.example>', `RCPT TO:<b@example.org> ORCPT=rfc822;b${injection}`],
        ['MAIL FROM:<a@client.example>', `RCPT TO:<b@example.org> ORCPT=rfc822;b+0D+0Aevil`],
      ]) {
        const upstream = await startBelieving(t, [
          'PIPELINING',
          'DSN',
          '8BITMIME',
          'AUTH PLAIN',
          'XFORWARD HELO NAME ADDR',
        ])
        const { c, delivery } = await front(
          t,
          { host: '127.0.0.1', port: upstream.port },
          { bareNewline, extensions: { DSN: true }, strictness: 'lenient' },
        )
        await delivery.probe()
        await c.command('EHLO client.example', 250)
        upstream.lines.length = 0
        for (const line of lines) c.write(`${line}\r\n`)
        await settle(12)
        c.reset()
        await settle(6)
        const row = JSON.stringify(lines)
        // A client that ends its own command by LF begins the next: that is its own right, but not one command for two.
        const mails = upstream.lines.filter(line => line.includes('MAIL FROM'))
        t.ok(mails.length <= 1, `${row}: ${JSON.stringify(upstream.lines)}`)
        t.notMatch(upstream.octets(), /(?<!\r)\n|\r(?!\n)|\0/, row)
      }
    }
  }
})
