// maildirs(): a Maildir for each recipient.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import fs from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SmtpHandler, type SmtpHandlerOptions } from '../lib/index.ts'
import { maildirs, type Maildirs, type MaildirsOptions } from '../lib/maildir.ts'
import { linkCopies } from '../lib/deliveries/maildirs/copies.ts'
import { checkAwaited } from '../lib/deliveries/maildir-file.ts'
import { fixedPart, pathPattern } from '../lib/deliveries/maildirs/path-pattern.ts'
import { uniqueName } from '../lib/deliveries/maildir-folder.ts'
import type { Conversation } from '../lib/testing/index.ts'
import { begin, MAIL } from './fixtures/dialogue.ts'

const files = (folder: string, name = 'new'): string[] =>
  existsSync(join(folder, name)) ? readdirSync(join(folder, name)) : []

interface Front {
  readonly c: Conversation
  readonly errors: Error[]
  readonly folder: string
}

/** A session whose mail goes below a new folder, or this one. */
async function front(
  t: Test,
  options: MaildirsOptions = {},
  at: { pattern?: string; folder?: string; session?: SmtpHandlerOptions } = {},
): Promise<Front> {
  const { folder = t.testdir(), pattern = '{domain}/{local}', session = {} } = at
  const errors: Error[] = []
  const delivery = maildirs(join(folder, pattern), options)
  t.teardown(() => delivery.close())
  const handleError = (error: Error): void => void errors.push(error)
  const handler = new SmtpHandler({ name: 'mx.example.org', handleError, ...session, delivery } as SmtpHandlerOptions)
  t.teardown(() => handler.destroy())
  return { c: await begin(handler), errors, folder }
}

async function send(c: Conversation, ...recipients: readonly string[]): Promise<string> {
  await c.command('MAIL FROM:<sender@client.example>', 250)
  for (const each of recipients) await c.command(`RCPT TO:<${each}>`, 250)
  await c.command('DATA', 354)
  await c.data(MAIL)
  return (await c.expect()).text
}

async function rcpt(c: Conversation, ...recipients: readonly string[]): Promise<string[]> {
  await c.command('MAIL FROM:<sender@client.example> SMTPUTF8', 250)
  const answers: string[] = []
  for (const each of recipients) answers.push((await c.command(`RCPT TO:<${each}>`)).text.slice(0, 9))
  await c.command('RSET', 250)
  return answers
}

t.test('only who has a folder gets mail, in any case, and with a detail', async t => {
  const { c, folder } = await front(t, { header: (_, mailbox) => ({ 'Delivered-To': mailbox }) })
  for (const name of ['anna', 'bob', 'anna+list']) mkdirSync(join(folder, 'example.org', name), { recursive: true })
  writeFileSync(join(folder, 'example.org', 'file'), '')
  t.strictSame(
    await rcpt(
      c,
      'carl@example.org',
      'anna@example.net',
      'file@example.org',
      'file+x@example.org',
      '+anna@example.org',
    ),
    Array.from({ length: 5 }, () => '550 5.1.1'),
  )
  t.match(await send(c, 'Anna@EXAMPLE.org', 'bob+news@example.org', 'bob@example.org'), /^250 2\.0\.0 Delivered as /)
  const [anna, bob] = ['anna', 'bob'].map(name => join(folder, 'example.org', name)) as [string, string]
  t.strictSame([files(anna).length, files(bob).length, files(anna, 'tmp'), files(bob, 'tmp')], [1, 1, [], []])
  t.equal(readFileSync(join(bob, 'new', files(bob)[0]!), 'latin1'), `Delivered-To: bob@example.org\r\n${MAIL}`)
  t.match(readFileSync(join(anna, 'new', files(anna)[0]!), 'latin1'), /^Delivered-To: anna@example\.org\r\n/)
  t.equal(statSync(join(bob, 'new', files(bob)[0]!)).mode & 0o777, 0o600)
  await send(c, 'anna+list@example.org')
  t.equal(files(join(folder, 'example.org', 'anna+list')).length, 1, 'a folder of its own comes first')
})

t.test('no recipient leads out of the folder', async t => {
  const session = { limits: { softErrors: 100 } }
  const { c, folder } = await front(t, { separator: '' }, { pattern: 'mail/{domain}/{local}', session })
  const inside = join(folder, 'mail/example.org')
  for (const path of [inside, join(folder, 'secret'), join(inside, '.hidden'), join(inside, 'a b')]) {
    mkdirSync(path, { recursive: true })
  }
  const odd = [
    '"../../secret"@example.org',
    '".."@example.org',
    '"."@example.org',
    '"../example.org"@example.org',
    '".hidden"@example.org',
    '"a/../a b"@example.org',
    String.raw`"..\\secret"@example.org`,
    '"/etc"@example.org',
    `${'x'.repeat(201)}@example.org`,
    `${'é'.repeat(101)}@example.org`,
    `"${' '.repeat(3)}"@example.org`,
    '"\u200b"@example.org',
    'x@[IPv6:2001:db8::1]',
    'x@[192.0.2.1]',
    `${'y'.repeat(200)}@example.org`,
  ]
  t.strictSame(new Set(await rcpt(c, ...odd)), new Set(['550 5.1.1']))
  t.strictSame(await rcpt(c, '"A B"@example.org', '"A\\ B"@example.org'), ['250 2.1.5', '250 2.1.5'])
})

t.test('hasMailbox tells who has one', async t => {
  const folder = t.testdir({ 'example.org': { anna: {}, postmaster: 'a file' } })
  const byFolder = maildirs(join(folder, '{domain}/{local}'))
  const has = (delivery: Maildirs, localPart: string, domain = 'example.org'): Promise<boolean> =>
    delivery.hasMailbox({ localPart, domain })
  t.equal(await has(byFolder, 'Anna+news', 'EXAMPLE.org'), true)
  t.equal(await has(byFolder, 'postmaster'), false)
  t.equal(await has(byFolder, '..'), false)
  const byList = maildirs(join(folder, '{local}'), {
    recipients: ['anna@example.org', 'postmaster@: anna@example.org'],
  })
  t.strictSame(await Promise.all([has(byList, 'anna'), has(byList, 'postmaster', 'x.example')]), [true, true])
  t.equal(await has(byList, 'carl'), false)
})

t.test('what a part of a path may be', t => {
  const folder = pathPattern('/m/{domain}/x-{local}/Maildir')
  t.equal(folder({ local: 'anna', domain: 'a.example' }), '/m/a.example/x-anna/Maildir')
  t.equal(folder({ local: '{domain}', domain: 'a.example' }), '/m/a.example/x-{domain}/Maildir')
  t.equal(folder({ local: '$&', domain: 'a.example' }), '/m/a.example/x-$&/Maildir')
  for (const local of [
    '',
    '.',
    '..',
    '.a',
    'a/b',
    '/a',
    'a\\b',
    'a\0',
    'a\n',
    ' a',
    '\u202ea',
    '\ud800',
    'x'.repeat(201),
  ]) {
    t.equal(folder({ local, domain: 'a.example' }), null, JSON.stringify(local))
    t.equal(folder({ local: 'a', domain: local }), null, JSON.stringify(local))
  }
  t.equal(pathPattern('{local}')({ local: 'a', domain: '' }), 'a')
  t.strictSame(
    ['/var/mail/{domain}/{local}', '/home/{local}/Maildir', '{local}', '/{local}', 'mail/x-{local}'].map(fixedPart),
    ['/var/mail', '/home', '.', '/', 'mail'],
  )
  for (const pattern of ['', 7, 'a\0{local}', '/mail/{user}', '/mail/{domain}', '/mail']) {
    t.throws(() => pathPattern(pattern), { code: 'ERR_OPTION' }, String(pattern))
  }
  t.end()
})

t.test('listed mailboxes and aliases; their folders are made', async t => {
  const recipients = [
    'Anna@example.org',
    'bob@example.org',
    'info@example.org: anna@example.org, BOB@example.org',
    'all@example.org: info@example.org, anna@example.org',
    'postmaster@: anna@example.org',
    '@example.net: bob@example.org',
    'carl@example.net: anna@example.org',
  ]
  const { c, folder } = await front(t, { recipients })
  const [anna, bob] = ['anna', 'bob'].map(name => join(folder, 'example.org', name)) as [string, string]
  t.strictSame(await rcpt(c, 'carl@example.org', 'x@example.com', 'info@example.com'), Array(3).fill('550 5.1.1'))
  await send(c, 'all@example.org', 'anna+x@example.org')
  t.strictSame([files(anna).length, files(bob).length], [1, 1], 'a copy each')
  await send(c, 'postmaster')
  await send(c, 'Postmaster@example.com')
  await send(c, 'carl+x@example.net')
  t.strictSame([files(anna).length, files(bob).length], [4, 1])
  await send(c, 'whoever@example.net')
  t.strictSame([files(anna).length, files(bob).length], [4, 2])
})

t.test('a list that is wrong', t => {
  const wrong: [string[], RegExp][] = [
    [['anna'], /"anna" is not a mailbox, or an alias/],
    [['a@b.example', 'a@b.example'], /listed twice/],
    [['a@b.example: c@b.example'], /^a@b\.example: c@b\.example is not listed$/],
    [['a@b.example: b@b.example', 'b@b.example: a@b.example'], /alias of itself/],
    [['a@b.example: '], /"a@b\.example: " is not/],
    [['a@b.example: c@b.example,'], /is not a mailbox/],
    [['@: a@b.example'], /is not a mailbox/],
  ]
  for (const [recipients, message] of wrong) {
    t.throws(() => maildirs('{local}', { recipients }), { code: 'ERR_OPTION', message }, recipients.join('; '))
  }
  const options: [unknown, RegExp][] = [
    [{ separator: 7 }, /separator is a text/],
    [{ most: 0 }, /most is a whole number/],
    [{ hostname: 7 }, /hostname is a text/],
    [{ clock: {} }, /clock is an object/],
    [{ header: {} }, /header is a function/],
    [{ recipient: [] }, /did you mean recipients/],
  ]
  for (const [given, message] of options) t.throws(() => maildirs('{local}', given as MaildirsOptions), { message })
  t.end()
})

t.test('a file of recipients is replaced as a whole; a bad one changes nothing', async t => {
  const folder = t.testdir({ recipients: '# people\nanna@example.org\n' })
  const file = join(folder, 'recipients')
  const problems: (string | null)[] = []
  let wake = (): void => {}
  const { c } = await front(
    t,
    {
      recipients: { file, interval: 5, onChange: problem => (problems.push(problem?.message ?? null), wake()) },
    },
    { folder },
  )
  const change = async (text: string): Promise<string | null | undefined> => {
    const told = new Promise<void>(resolve => (wake = resolve))
    writeFileSync(`${file}.new`, text)
    await fs.rename(`${file}.new`, file)
    const alive = setInterval(() => {}, 1000) // watching keeps no process alive
    await told
    clearInterval(alive)
    return problems.at(-1)
  }
  t.strictSame(await rcpt(c, 'anna@example.org', 'bob@example.org'), ['250 2.1.5', '550 5.1.1'])
  t.match(await change('bob@example.org\n\nno mailbox\n'), /recipients:3: "no mailbox" is not a mailbox/)
  t.match(
    await change('# x\nbob@example.org\ninfo@example.org: carl@example.org\n'),
    /:3: .*carl@example\.org is not listed/,
  )
  t.strictSame(await rcpt(c, 'anna@example.org', 'bob@example.org'), ['250 2.1.5', '550 5.1.1'])
  t.equal(await change('bob@example.org\n'), null)
  t.strictSame(await rcpt(c, 'anna@example.org', 'bob@example.org'), ['550 5.1.1', '250 2.1.5'])
})

t.test('more Maildirs than one transaction may have', async t => {
  const recipients = ['a', 'b', 'c', 'd'].map(name => `${name}@example.org`)
  const { c } = await front(t, { recipients: [...recipients, `all@example.org: ${recipients.join(', ')}`], most: 2 })
  t.strictSame(await rcpt(c, ...recipients, 'a@example.org'), [
    '250 2.1.5',
    '250 2.1.5',
    '452 4.5.3',
    '452 4.5.3',
    '250 2.1.5',
  ])
  t.strictSame(await rcpt(c, 'all@example.org', 'a@example.org'), ['250 2.1.5', '452 4.5.3'], 'an alias alone may')
})

t.test('if one copy cannot be stored, none is', async t => {
  for (const [what, spoil, code] of [
    ['tmp/', (bob: string) => (mkdirSync(bob), writeFileSync(join(bob, 'tmp'), '')), 451],
    [
      'new/',
      (bob: string) => (mkdirSync(join(bob, 'tmp'), { recursive: true }), symlinkSync('nowhere', join(bob, 'new'))),
      451,
    ],
  ] as const) {
    const { c, errors, folder } = await front(
      t,
      { recipients: ['anna@example.org', 'bob@example.org'] },
      {
        folder: t.testdir(),
        pattern: '{local}',
      },
    )
    const [anna, bob] = ['anna', 'bob'].map(name => join(folder, name)) as [string, string]
    spoil(bob)
    t.match(await send(c, 'anna@example.org', 'bob@example.org'), new RegExp(`^${code} `), what)
    t.strictSame([files(anna), files(anna, 'tmp')], [[], []], what)
    t.equal(errors.length, 1)
    rmSync(bob, { recursive: true })
    t.match(await send(c, 'anna@example.org', 'bob@example.org'), /^250 /, 'once it is mended')
    t.strictSame([files(anna).length, files(bob).length], [1, 1])
  }
})

t.test('a link that fails after another was made takes that one back', async t => {
  const folder = t.testdir({ a: { tmp: { x: 'mail' }, new: {} }, b: { tmp: { x: 'mail' } } })
  const flush = (): Promise<void> => Promise.resolve()
  const copies = ['a', 'b'].map(name => ({ folder: join(folder, name), id: 'x', header: '', flush }))
  await t.rejects(
    linkCopies(copies, () => {}),
    { reply: { code: 451 }, cause: { code: 'ENOENT' } } as never,
  )
  t.strictSame(files(join(folder, 'a')), [])

  mkdirSync(join(folder, 'b/new'))
  let checks = 0
  const late = (): void => checkAwaited(++checks === 2 ? AbortSignal.abort() : undefined)
  await t.rejects(linkCopies(copies, late), { cause: { code: 'ERR_SESSION_ENDED' } } as never)
  t.strictSame([files(join(folder, 'a')), files(join(folder, 'b'))], [[], []], 'nobody waits for the verdict any more')

  const fails = copies.map(copy => ({
    ...copy,
    flush: () => Promise.reject(Object.assign(new Error('x'), { code: 'EIO' })),
  }))
  await t.rejects(
    linkCopies(fails, () => {}),
    { cause: { code: 'EIO' } } as never,
  )
  t.strictSame([files(join(folder, 'a')), files(join(folder, 'b'))], [[], []])

  await linkCopies(copies, () => {})
  t.strictSame([files(join(folder, 'a')), files(join(folder, 'b'))], [['x'], ['x']])
})

t.test('two names of one Maildir', async t => {
  const { c, folder } = await front(t, {}, { pattern: '{local}' })
  mkdirSync(join(folder, 'anna'))
  symlinkSync('anna', join(folder, 'ann'))
  t.match(await send(c, 'anna@example.org', 'ann@example.org'), /^250 /)
  t.equal(files(join(folder, 'anna')).length, 2)
})

t.test('a client that is cut leaves nothing', async t => {
  const folder = t.testdir({ anna: {}, bob: {} })
  const handler = new SmtpHandler({ delivery: maildirs(join(folder, '{local}')) })
  const c = await begin(handler)
  await c.command('MAIL FROM:<sender@client.example>', 250)
  for (const each of ['anna', 'bob']) await c.command(`RCPT TO:<${each}@example.org>`, 250)
  await c.command('DATA', 354)
  await new Promise(resolve => handler.write(`${MAIL}${`${'x'.repeat(70)}\r\n`.repeat(10_000)}`, resolve))
  const ended = new Promise(resolve => handler.once('close', resolve))
  handler.destroy()
  await ended
  while (files(join(folder, 'anna'), 'tmp').length + files(join(folder, 'bob'), 'tmp').length > 0) {
    await new Promise(resolve => setImmediate(resolve))
  }
  t.strictSame([files(join(folder, 'anna')), files(join(folder, 'bob'))], [[], []])
})

t.test('files that a process left in tmp/ are removed', async t => {
  const { c, folder } = await front(t, {}, { pattern: '{local}' })
  mkdirSync(join(folder, 'anna/tmp'), { recursive: true })
  const stale = join(folder, 'anna/tmp', uniqueName(0, 'host'))
  writeFileSync(stale, '')
  utimesSync(stale, 0, 0)
  await send(c, 'anna@example.org')
  while (existsSync(stale)) await new Promise(resolve => setImmediate(resolve))
  await send(c, 'anna@example.org')
  t.equal(files(join(folder, 'anna')).length, 2)
})

t.test('trouble with seeing a folder is not that it is missing', async t => {
  const { c, errors, folder } = await front(t)
  symlinkSync('example.org', join(folder, 'example.org')) // a loop
  t.strictSame(await rcpt(c, 'anna@example.org'), ['451 4.3.0'])
  t.match(errors[0], { cause: { code: 'ELOOP' } })
})

t.test('probe', async t => {
  const folder = t.testdir({ file: '' })
  await maildirs(join(folder, '{local}')).probe()
  t.strictSame(readdirSync(folder), ['file'])
  await t.rejects(maildirs(join(folder, 'file/{local}')).probe(), { code: 'ENOTDIR' })
})
