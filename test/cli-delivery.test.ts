// [delivery] of the command: Maildirs by recipient, a webhook, and what is wrong with either.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'smol-toml'
import { loadConfig } from '../lib/cli/config/load.ts'
import { ConfigError, showProblem } from '../lib/cli/config/problems.ts'
import { environmentProblems } from '../lib/cli/environment.ts'
import { allKeys, configSchema } from '../lib/cli/config/schema.ts'
import { makeSettings } from '../lib/cli/settings.ts'
import { SmtpHandler } from '../lib/index.ts'
import { address, begin, deliver } from './fixtures/dialogue.ts'
import { readText } from './fixtures/repository.ts'
import { parseForm, startService } from './fixtures/webhook-service.ts'

const FILE = 'm.toml'

function problems(folder: string, text: string): string[] {
  try {
    makeSettings(loadConfig(join(folder, FILE), text)).close()
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(each => showProblem(each).replaceAll(`${folder}/`, ''))
  }
}

async function unusable(folder: string, text: string): Promise<string[]> {
  const loaded = loadConfig(join(folder, FILE), text)
  const { destination, close } = makeSettings(loaded)
  const found = await environmentProblems(loaded, destination)
  close()
  return found.map(each => showProblem(each).replaceAll(`${folder}/`, ''))
}

/** Delivers a message with the first listener of a configuration. */
async function send(t: Test, folder: string, text: string, ...recipients: readonly string[]): Promise<object> {
  const { handlers, destination, close } = makeSettings(loadConfig(join(folder, FILE), text))
  const handler = new SmtpHandler(handlers[0]!)
  t.teardown(() => handler.destroy())
  const c = await begin(handler)
  await address(c, ...recipients)
  await deliver(c, 250)
  close()
  return destination
}

t.test('Maildirs by recipient, with a file of recipients', async t => {
  const folder = t.testdir({
    people: 'anna@example.org\nbob@example.org\nall@example.org: anna@example.org, bob@example.org\n',
  })
  const text = '[delivery]\nmaildir = "mail/{domain}/{local}"\nrecipients_file = "people"\nseparator = "-"\nmost = 5\n'
  const destination = await send(t, folder, text, 'all@example.org', 'anna-x@example.org')
  t.match(destination, { kind: 'the Maildirs', place: join(folder, 'mail/{domain}/{local}') })
  for (const name of ['anna', 'bob']) {
    const at = join(folder, 'mail/example.org', name, 'new')
    const [file, ...others] = readdirSync(at)
    t.strictSame(others, [])
    const message = readFileSync(join(at, file!), 'utf8')
    t.match(
      message,
      new RegExp(`^Return-Path: <sender@client.example>\r\nDelivered-To: ${name}@example.org\r\nReceived: `),
    )
    t.notMatch(message.split('\r\n\r\n')[0], /all@|for </, 'it tells nobody of the others')
  }
  await send(t, folder, text, 'bob@example.org')
  const files = readdirSync(join(folder, 'mail/example.org/bob/new')).map(name => {
    return readFileSync(join(folder, 'mail/example.org/bob/new', name), 'utf8')
  })
  t.ok(files.some(message => message.includes('for <bob@example.org>')))
})

t.test('a webhook', async t => {
  const service = await startService(t)
  const folder = t.testdir({ secret: 'hush\n', token: 'let me in\n' })
  const text = `[delivery.webhook]\nurl = "${service.url}?x=y"\nsecret_file = "secret"\ntoken_file = "token"\nheaders = { x-a = "b" }\ntimeouts.answer = "30s"\n`
  const destination = await send(t, folder, text)
  t.match(destination, { kind: 'the webhook', place: service.url, fields: { webhook: service.url } })
  const { request } = service.complete[0]!
  t.match(request.headers, { authorization: 'Bearer let me in', 'x-a': 'b' })
  const { message, digest } = await parseForm(service.complete[0]!)
  t.match(message.toString(), /^Return-Path: <sender@client\.example>\r\n/)
  t.match(digest.signature, /^[\da-f]{64}$/)
  t.strictSame(await unusable(folder, text), [])
  await send(t, folder, `[delivery.webhook]\nurl = "${service.url}"\nform = "raw"\n`)
  t.match(service.complete[1]!.request.headers['content-type'], 'message/rfc822')
})

t.test('what is wrong is told of its key', t => {
  const folder = t.testdir({ empty: '', people: 'nobody\n' })
  const hook = '[delivery.webhook]\nurl = "http://a.example/"\n'
  const rows: [string, RegExp][] = [
    ['[delivery]\n', /^m\.toml:1:1: delivery: needs one of maildir, webhook and module$/],
    [
      '[delivery]\nmaildir = "x"\n',
      /delivery\.maildir: "x" is not allowed here: it has no \{local\}; for one Maildir for all, set maildir above/,
    ],
    ['maildir = "mail/{local}"\n', /^m\.toml:1:1: maildir: it is one Maildir for all/],
    ['[delivery]\nmaildir = "{user}"\n', /\{user\} is not \{local\} or \{domain\}/],
    [
      '[delivery]\nmaildir = "{local}"\nrecipients_file = "people"\n',
      /recipients_file: people:1: "nobody" is not a mailbox/,
    ],
    [
      '[delivery]\nmaildir = "{local}"\nrecipients_file = "absent"\n',
      /recipients_file: absent: cannot be read: ENOENT/,
    ],
    ['[delivery]\nmaildir = "{local}"\noptions = {}\n', /delivery\.options: is for module alone/],
    ['[delivery]\nmaildir = "{local}"\nseparator = 7\n', /separator: 7 is not allowed here: a text/],
    ['[delivery]\nseparator = "-"\nmodule = "x"\n', /delivery\.separator: is for maildir alone/],
    ['[delivery]\nmaildir = "{local}"\nmodule = "x"\n', /delivery\.module: maildir is set too/],
    [
      `[upstream]\naddress = "127.0.0.1:26"\n[recipients]\ndomains = ["*"]\n${hook}`,
      /delivery: mail is passed on to an upstream/,
    ],
    ['[delivery.webhook]\nurl = "a.example"\n', /webhook\.url: "a\.example" is not allowed here: an address such as/],
    ['[delivery.webhook]\nurl = "ftp://a.example"\n', /delivery\.webhook: url begins with https: or http:/],
    [`${hook}headers = { Content-Type = "x" }\n`, /delivery\.webhook: headers: Content-Type is set by the webhook/],
    [`${hook}headers = { a = 7 }\n`, /headers: a table is not allowed here: a table of headers/],
    [`${hook}secret_file = "empty"\n`, /delivery\.webhook\.secret_file: empty is empty/],
    [`${hook}token_file = "absent"\n`, /delivery\.webhook\.token_file: ENOENT/],
    [`${hook}ca = "absent"\n`, /delivery\.webhook\.ca: ENOENT/],
  ]
  for (const [text, expected] of rows) t.match(problems(folder, text), [expected], text)
  t.end()
})

t.test('what cannot be delivered to is told by check, and at the start', async t => {
  const folder = t.testdir({ file: '' })
  t.match(await unusable(folder, '[delivery]\nmaildir = "file/{local}"\n'), [
    /^m\.toml:2:1: delivery\.maildir: cannot be delivered to: ENOTDIR/,
  ])
  t.match(await unusable(folder, '[delivery.webhook]\nurl = "http://127.0.0.1:1/"\n'), [
    /^m\.toml:1:1: delivery\.webhook: cannot be delivered to: connect ECONNREFUSED/,
  ])
  t.strictSame(await unusable(folder, '[delivery]\nmaildir = "{local}"\n'), [])
})

t.test('examples/deliveries.toml has every key, and each of its ways is good', t => {
  const parts = readText('examples/deliveries.toml')
    .split(/^(?=# \d\. )/m)
    .slice(1)
  const policy = /^\[\[policy\]\]$[^]*/m.exec(parts[2]!)![0]
  const found = parts.flatMap(part => {
    const text = part.includes('[[policy]]') ? part : `${part}\n${policy}`
    loadConfig(FILE, text)
    return keysIn(parse(text))
  })
  const keys = allKeys(configSchema('/')).filter(key => /^(?:delivery|policy)\./.test(key))
  t.strictSame(
    keys.filter(key => !found.some(each => each === key || each.startsWith(`${key}.`))),
    [],
  )
  t.end()
})

/** Keys of a value in dotted form. */
function keysIn(value: unknown, prefix = ''): string[] {
  if (Array.isArray(value)) return value.flatMap(each => keysIn(each, prefix))
  if (typeof value !== 'object' || value === null) return [prefix]
  return Object.entries(value).flatMap(([key, inner]) => keysIn(inner, prefix === '' ? key : `${prefix}.${key}`))
}
