// A flood of guesses against a file of users, on real sockets: who guesses is stopped, nobody else is.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readUsers } from '../lib/cli/users.ts'
import { maildir } from '../lib/deliveries/maildir.ts'
import { createServer } from '../lib/server/index.ts'
import { scramSecret } from '../lib/smtp/auth/scram-secret.ts'
import type { Policy } from '../lib/smtp/hooks.ts'
import type { SmtpHandlerOptions } from '../lib/smtp/options.ts'
import { SmtpHandler } from '../lib/smtp/smtp-handler.ts'
import { client, listening, type TcpClient } from './fixtures/tcp-client.ts'

const plain = (password: string): string => `AUTH PLAIN ${Buffer.from(`\0anna\0${password}`).toString('base64')}`

t.test('guesses from two addresses, 20 of each are checked, and others go on', async t => {
  const folder = t.testdir()
  mkdirSync(join(folder, 'Maildir'))
  const { salt, iterations, storedKey, serverKey } = await scramSecret('sesame', { iterations: 20_000 })
  writeFileSync(join(folder, 'users'), `anna:SCRAM-SHA-256$${iterations}:${salt}$${storedKey}:${serverKey}\n`)
  const { mechanisms, policy } = readUsers(join(folder, 'users'))
  const checks = { now: 0, most: 0, all: 0 }
  const counting: Policy = {
    async onAuth(credentials, session) {
      checks.all += 1
      checks.most = Math.max(checks.most, (checks.now += 1))
      try {
        return await policy.onAuth!(credentials, session)
      } finally {
        checks.now -= 1
      }
    },
  }
  const options: SmtpHandlerOptions = {
    name: 'mx.test',
    policies: [counting],
    delivery: maildir(join(folder, 'Maildir')),
    auth: { mechanisms, insecure: true, guesses: {} },
  }
  const server = await listening(createServer({ perClient: { perMinute: Infinity } }, () => new SmtpHandler(options)))
  t.teardown(() => server.close({ within: 1 }))

  const begin = async (localAddress: string): Promise<TcpClient> => {
    const one = client(server, { localAddress })
    await one.reply()
    await one.say('EHLO c.test')
    return one
  }
  const codes: Record<string, number> = {}
  let guesses = 0
  const attack = async (address: string): Promise<void> => {
    for (let sessions = 0; sessions < 2; sessions++) {
      const one = await begin(address)
      for (let i = 0; i < 3; i++) {
        const [code = ''] = await one.codes(plain(`guess${guesses++}`))
        codes[code] = (codes[code] ?? 0) + 1
      }
      one.socket.destroy()
    }
  }
  const attackers = ['127.0.0.2', '127.0.0.3'].flatMap(each => Array.from({ length: 20 }, () => attack(each)))
  const over = new AbortController()
  const others = { mails: 0, logins: 0 }
  const honest = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const one = await begin('127.0.0.1')
      const mail = await one.codes('MAIL FROM:<a@c.test>', 'RCPT TO:<b@d.test>', 'DATA', 'Hi\r\n.', 'QUIT')
      t.strictSame(mail, ['250', '250', '354', '250', '221'])
      others.mails += 1
      one.socket.destroy()
    }
  }
  const user = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const one = await begin('127.0.0.4')
      t.strictSame(await one.codes(plain('sesame'), 'QUIT'), ['235', '221'])
      others.logins += 1
      one.socket.destroy()
    }
  }
  const rest = [honest(), user()]
  await Promise.all(attackers)
  over.abort()
  await Promise.all(rest)
  t.strictSame(codes, { 535: 40, 454: 200 })
  t.equal(checks.all, 40 + others.logins)
  t.ok(checks.most <= 2, `${checks.most} checks at a time`)
  t.ok(others.mails > 0 && others.logins > 0)
  t.equal(readdirSync(join(folder, 'Maildir/new')).length, others.mails)
})
