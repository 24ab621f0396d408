// Configurations: what is read, what is refused and where it says so; the example and the documentation have every key.

import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import t from 'tap'
import { loadConfig, type Override } from '../lib/cli/config/load.ts'
import { ConfigError, showProblem } from '../lib/cli/config/problems.ts'
import { locateKeys } from '../lib/cli/config/locate.ts'
import { allKeys, configSchema } from '../lib/cli/config/schema.ts'
import { findConfig } from '../lib/cli/find-config.ts'
import { nearest } from '../lib/words/nearest.ts'
import { readDuration, readListenAddress, readSize } from '../lib/cli/config/units.ts'
import { resolveOptions } from '../lib/smtp/options.ts'
import { run } from './fixtures/command.ts'
import { readText } from './fixtures/repository.ts'

const KEYS = allKeys(configSchema('/'))
const FILE = 'm.toml'

function problems(text: string, overrides: readonly Override[] = []): string[] {
  try {
    loadConfig(FILE, text, { overrides })
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(showProblem)
  }
}

/** Keys of a value in dotted form, those of lists of tables once. */
function keysIn(value: unknown, prefix = ''): string[] {
  if (Array.isArray(value) && typeof value[0] === 'object') return keysIn(value[0], prefix)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [prefix]
  return Object.entries(value).flatMap(([key, inner]) => keysIn(inner, prefix === '' ? key : `${prefix}.${key}`))
}

t.test('without a file all is safe and local', t => {
  const { config } = loadConfig(null, '')
  t.match(config, {
    listen: [{ address: { host: '127.0.0.1', port: 2525 }, protocol: 'smtp', tls: 'starttls' }],
    maildir: join(process.cwd(), 'Maildir'),
    workers: 1,
    log: { level: 'info' },
    shutdownTimeout: 30_000,
  })
  t.strictSame(config.recipients, {})
  t.end()
})

t.test('what is wrong is told with file, line, column, key and what is allowed', t => {
  const cases: [string, string, string][] = [
    [
      'a key mistyped',
      '\nmax_conections = 5',
      'm.toml:2:1: max_conections: there is no such key; did you mean max_connections?',
    ],
    ['a key in a table', '[limits]\nerors = 5', 'm.toml:2:1: limits.erors: there is no such key; did you mean errors?'],
    [
      'a key below a table',
      '[recipients]\ndomains = ["*"]\nname = "mx.example.org"',
      'm.toml:3:1: recipients.name: there is no such key; name belongs above the first [table]',
    ],
    [
      'a key below a list of tables',
      '[[listen]]\naddress = "127.0.0.1:0"\nworkers = 2',
      'm.toml:3:1: listen[0].workers: there is no such key; workers belongs above the first [table]',
    ],
    ['a dotted key', 'limits.errors = 0', 'm.toml:1:1: limits.errors: 0 is not allowed here: a whole number from 1'],
    [
      'an inline table',
      'limits = { errors = "x" }',
      'm.toml:1:12: limits.errors: "x" is not allowed here: a whole number from 1',
    ],
    [
      'a quoted key',
      '"size" = "1 MiB "',
      'm.toml:1:1: size: "1 MiB " is not allowed here: a size such as "50MiB" or "100kB", or a number of octets',
    ],
    [
      'a duration',
      '[timeouts]\n# "x"\n  idle = "5x"',
      'm.toml:3:3: timeouts.idle: "5x" is not allowed here: a duration such as "30s", "5m" or "1h"',
    ],
    [
      'a number for a duration',
      'timeouts.idle = 5',
      'm.toml:1:1: timeouts.idle: 5 is not allowed here: a duration such as "30s", "5m" or "1h"',
    ],
    [
      'an address',
      '[[listen]]\naddress = "127.0.0.1:1"\n[[listen]]\naddress = "1.2.3.4"',
      'm.toml:4:1: listen[1].address: "1.2.3.4" is not allowed here: an address and port such as "127.0.0.1:25", "[::1]:25" or "*:25"',
    ],
    [
      'a choice',
      'bare_newline = "maybe"',
      'm.toml:1:1: bare_newline: "maybe" is not allowed here: one of "reject", "normalize", "allow"',
    ],
    [
      'a network in a list',
      'xclient = [\n  "10.0.0.0/8",\n  "10.0.0.1/8",\n]',
      'm.toml:3:3: xclient[1]: "10.0.0.1/8" is not allowed here: network "10.0.0.1/8": bits are set beyond the prefix; write 10.0.0.0/8, or the address alone',
    ],
    [
      'a table where a value is due',
      '[size]\nx = 1',
      'm.toml:1:1: size: a table is not allowed here: a size such as "50MiB" or "100kB", or a number of octets',
    ],
    ['a list where a table is due', 'tls = []', 'm.toml:1:1: tls: a list is not allowed here: a table'],
    ['a value where a table is due', 'log = 3', 'm.toml:1:1: log: 3 is not allowed here: a table'],
    ['a key that is missing', '[tls]\ncert = "x"', 'm.toml:1:1: tls.key: is missing'],
    [
      'no TOML',
      'a = 1\nb = = 2',
      'm.toml:2:5: no valid TOML: invalid value; write a text in double quotes, as "mx.example.org" or "50MB", and true or false in lower case',
    ],
    [
      'an extension',
      'extensions.8BITMINE = true',
      'm.toml:1:1: extensions.8BITMINE: there is no such key; did you mean 8BITMIME?',
    ],
    [
      'implicit TLS without certificates',
      '[[listen]]\naddress = "127.0.0.1:1"\ntls = "implicit"',
      'm.toml:3:1: listen[0].tls: "implicit" needs certificates: tls.cert and tls.key',
    ],
    [
      'open to others without a list',
      '[[listen]]\naddress = "*:25"',
      'm.toml:2:1: listen[0].address: others can connect here: say in recipients.domains whose mail is accepted, ["*"] for any',
    ],
    [
      "whose mail is nobody's",
      '[recipients]\ndomains = ["example.org", "[zzz]"]',
      'm.toml:2:27: recipients.domains[1]: "[zzz]" is not allowed here: recipient "[zzz]": not a domain, an address literal, a dot and a domain, or a mailbox',
    ],
    [
      'a group alone',
      'group = "mail"',
      'm.toml:1:1: group: needs user: a group alone would leave all the rights of the account',
    ],
    [
      'the same address twice',
      '[[listen]]\naddress = "127.0.0.1:25"\n[[listen]]\naddress = "127.0.0.1:25"',
      'm.toml:4:1: listen[1].address: another listener has this address',
    ],
    ['__proto__', '__proto__ = 1\nworkers = 1', 'm.toml:1:1: __proto__: there is no such key'],
    ['controls', '"a\\u001b" = 1', 'm.toml:1:1: "a\\u001b": there is no such key'],
  ]
  for (const [name, text, expected] of cases) {
    const [first = '', ...more] = problems(text)
    t.ok(first.startsWith(expected), `${name}: ${first}`)
    t.strictSame(more, [], name)
  }
  t.end()
})

t.test('every error is told, in the order of the file', t => {
  t.strictSame(
    problems('wrong = 1\nworkers = 0\n[limits]\nerrors = 0\nheader = "x"').map(text => text.split(': ')[0]),
    ['m.toml:1:1', 'm.toml:2:1', 'm.toml:4:1', 'm.toml:5:1'],
  )
  t.end()
})

t.test('the command line goes before the file, and is named', t => {
  const workers = (value: unknown) => [{ option: '--workers', path: ['workers'], value }]
  t.equal(loadConfig(FILE, 'workers = 2', { overrides: workers(3) }).config.workers, 3)
  t.match(problems('', workers('x'))[0], /^--workers: workers: "x" is not allowed here/)
  t.end()
})

t.test('places are found in all that TOML can write', t => {
  const text = [
    "'a b'.c = '''x\n[no]\n'''",
    'd = [ [1, 2], # ]',
    '  { e = "}" } ]',
    '[[t]]',
    'f = """\\"""\n"""',
    '[t.u]',
    'g = 1979-05-27T07:32:00Z',
    '[[t]]',
    'f = 1',
  ].join('\n')
  t.doesNotThrow(() => parse(text))
  const locate = locateKeys(text)
  const places: [(string | number)[], number, number][] = [
    [['a b', 'c'], 1, 1],
    [['d'], 4, 1],
    [['d', 0, 1], 4, 11],
    [['d', 1, 'e'], 5, 5],
    [['t', 0, 'f'], 7, 1],
    [['t', 0, 'u', 'g'], 10, 1],
    [['t', 1, 'f'], 12, 1],
    [['t', 1, 'missing'], 11, 1],
  ]
  for (const [path, line, column] of places) t.strictSame(locate(path), { line, column }, path.join('.'))
  t.equal(locate(['none']), null)
  t.end()
})

t.test('durations, sizes, addresses', t => {
  t.strictSame(
    ['30s', '5m', '1h', '500ms', '2d', '0s', '5', '-1s', '1.5s', '99d'].map(each => readDuration(each)),
    [30_000, 300_000, 3_600_000, 500, 172_800_000, null, null, null, null, null],
  )
  t.strictSame(['50MiB', '1kB', 7, 0, -1, 1.5, '1XB'].map(readSize), [52_428_800, 1000, 7, 0, null, null, null])
  t.strictSame(readListenAddress('[::1]:25'), { host: '::1', port: 25 })
  t.strictSame(readListenAddress('systemd:smtp'), { systemd: 'smtp' })
  for (const bad of ['25', ':25', '::1:25', '1.2.3:25', '127.0.0.1:65536', '127.0.0.1:', 'a b:1', 25]) {
    t.equal(readListenAddress(bad), null, String(bad))
  }
  t.equal(nearest('nmae', ['name', 'size']), 'name')
  t.equal(nearest('zzz', ['name', 'size']), null)
  t.end()
})

t.test('the example has every key, and is good with and without those that are examples', async t => {
  const text = readText('examples/mailhandler.toml')
  t.strictSame(problems(text), [])
  const full = text.replaceAll(/^#([a-z_]+ = |\[)/gm, '$1')
  t.strictSame(problems(full), [])
  const found = new Set(keysIn(parse(full)))
  // An account has a password or a token; a route has the keys of [upstream].
  // A list has entries or a file.
  const twins = (key: string): string[] => [
    key,
    key.replace(/^routes\./, 'upstream.'),
    ...(key.startsWith('lists.') ? [key.replace(/_file$/, ''), `${key}_file`] : []),
  ]
  const elsewhere = (key: string): boolean => twins(key).some(twin => found.has(twin))
  // A delivery and an upstream exclude each other: examples/deliveries.toml, in cli-delivery.test.ts.
  const missing = KEYS.filter(key => !elsewhere(key) && !/^(?:delivery|policy)\./.test(key))
  t.strictSame(missing, ['upstream.auth.token_file', 'routes.auth.token_file'])
  t.strictSame(
    [...found].filter(key => !KEYS.includes(key)),
    [],
  )
  const folder = t.testdir({ [FILE]: text })
  t.equal((await run(['check', '--config', FILE], folder)).code, 0)
})

t.test('what the example sets is the default', t => {
  const { config } = loadConfig(FILE, readText('examples/mailhandler.toml'))
  const defaults = resolveOptions({})
  for (const [key, value] of Object.entries(config.limits)) t.equal(value, Reflect.get(defaults.limits, key), key)
  for (const [key, value] of Object.entries(config.timeouts)) {
    if (key !== 'proxyHeader') t.equal(value, Reflect.get(defaults.timeouts, key), key)
  }
  const on = Object.entries(config.extensions).filter(([, value]) => value)
  t.strictSame(new Set(on.map(([name]) => name)), new Set(defaults.extensions))
  for (const key of [
    'size',
    'oversize',
    'strictness',
    'bareNewline',
    'unlawfulPipelining',
    'earlyTalkers',
    'minDataRate',
  ] as const) {
    t.equal(config[key], defaults[key], key)
  }
  t.end()
})

t.test('docs/configuration.md has a row for each key, and no other', t => {
  const rows = [...readText('docs/configuration.md').matchAll(/^\| `([\w.-]+)` \| \S.* \| \S.* \|$/gm)].map(
    ([, key]) => key!,
  )
  t.strictSame(rows.toSorted(), KEYS.toSorted())
  t.end()
})

t.test('without --config: mailhandler.toml, if it is here and nobody else can write it', async t => {
  const folder = t.testdir({ 'mailhandler.toml': 'workers = 0\n', empty: {} })
  t.match(await run(['check'], folder), { code: 1, stderr: /^mailhandler\.toml:1:1: workers: 0 is not allowed/ })
  t.match(await run(['check', '-c', '/dev/null'], folder), { code: 0, stdout: '/dev/null: good\n' })
  t.match(await run(['serve'], folder), { code: 1, stderr: /mailhandler\.toml:1:1: workers/ })
  const empty = join(folder, 'empty')
  t.match(await run(['check'], empty), {
    code: 0,
    stdout: `the default configuration: good; no --config, and no mailhandler.toml in ${empty}\n`,
  })
  t.match(await run(['check', '-c', 'x.toml'], empty), { stderr: `x.toml: there is no such file in ${empty}\n` })
  t.match(await run(['greylist'], empty), {
    code: 1,
    stderr: /greylist: there is no table \[greylist\]: --config is not given, and this folder has no mailhandler\.toml/,
  })

  const before = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
  const { uid } = statSync('mailhandler.toml')
  t.equal(findConfig(), 'mailhandler.toml')
  t.equal(findConfig(null), 'mailhandler.toml', 'a system without owners')
  t.equal(findConfig(uid), 'mailhandler.toml')
  if (uid !== 0) t.throws(() => findConfig(uid + 1), { message: /somebody else can write it: give --config/ })
  else t.equal(findConfig(1), 'mailhandler.toml', 'a file of root')
  chmodSync('mailhandler.toml', 0o646)
  t.throws(() => findConfig(uid), { message: /^mailhandler\.toml: somebody else can write it/ })
  chmodSync('mailhandler.toml', 0o644)
  if (process.getuid?.() === 0) chownSync('mailhandler.toml', 4711, 0)
  t.throws(() => findConfig(0), { message: /somebody else can write it/ })
})

t.test('without --config: a link, and a file in a folder of others, are not read', async t => {
  const folder = t.testdir({ own: { 'mailhandler.toml': '' }, link: {}, open: { 'mailhandler.toml': '' } })
  symlinkSync('../own/mailhandler.toml', join(folder, 'link', 'mailhandler.toml'))
  chmodSync(join(folder, 'open'), 0o777)
  const before = process.cwd()
  t.teardown(() => process.chdir(before))
  process.chdir(join(folder, 'link'))
  t.throws(() => findConfig(), { message: /^mailhandler\.toml: it is no file of this folder: give --config/ })
  process.chdir(join(folder, 'open'))
  t.throws(() => findConfig(), { message: /^mailhandler\.toml: somebody else can write in its folder: give --config/ })
  t.equal(findConfig(null), 'mailhandler.toml')
})

t.test('check names files that cannot be read, and what is wrong in them', async t => {
  const folder = t.testdir({ users: 'ann:secret\n', 'bad.pem': 'no PEM' })
  mkdirSync(join(folder, 'conf'))
  const text = '[tls]\ncert = "../bad.pem"\nkey = "../none.pem"\n[auth]\nusers = "../users"\n'
  writeFileSync(join(folder, 'conf', FILE), text)
  const { code, stderr } = await run(['check', '-c', `conf/${FILE}`], folder)
  t.equal(code, 1)
  t.match(stderr, /conf\/m\.toml:3:1: tls\.key: ENOENT/)
  t.match(stderr, /conf\/m\.toml:5:1: auth\.users: line 1 is not a line/)
  t.notMatch(stderr, /secret/)
})

t.test('the command line', async t => {
  const folder = t.testdir()
  const cases: [string[], number, RegExp][] = [
    [['serv'], 2, /no command "serv"; did you mean serve\?/],
    [['serve', '--lisen', 'x'], 2, /no option "--lisen"; did you mean --listen\?/],
    [['serve', '--listen'], 2, /--listen takes HOST:PORT/],
    [['serve', '--listen', '--help'], 2, /--listen takes HOST:PORT/],
    [['serve', 'x'], 2, /serve does not take "x"/],
    [['serve', '--name', 'a', '--name', 'b'], 2, /given twice/],
    [['serve', '--config', 'none.toml'], 1, /none\.toml: there is no such file/],
    [['check', '--listen', '0.0.0.0:25'], 1, /^--listen: listen\[0\]\.address: others can connect here/],
  ]
  for (const [args, code, text] of cases) {
    const outcome = await run(args, folder)
    t.equal(outcome.code, code, args.join(' '))
    t.match(outcome.stderr, text, args.join(' '))
  }
  t.match((await run(['help'], folder)).stdout, /serve .*receive mail/)
  t.match((await run(['check', '--help'], folder)).stdout, /--config FILE/)
  t.equal(
    (await run(['version'], folder)).stdout.trim(),
    (JSON.parse(readText('package.json')) as { version: string }).version,
  )
})

t.test('TOML that is none: where, what, and what to do', t => {
  const table: [string, string, RegExp][] = [
    ['name = mx.example.org', '1:8', /invalid value; write a text in double quotes/],
    ['size = 50MB', '1:10', /illegal character in numeric literal; write a text in double quotes/],
    ['user = True', '1:8', /true or false in lower case/],
    ['name = "mx', '1:8', /unfinished string; close a text with the quote/],
    ['name = "a\nb"', '1:10', /close a text with the quote/],
    ['a = "C:\\path"', '1:9', /; write a backslash twice, or the text in single quotes/],
    ['[limits]\nerrors: 5', '2:7', /illegal character in key; a line is key = value, a \[table\]/],
    ['name', '1:1', /; a line is key = value/],
    ['[tls', '1:2', /; a line is key = value/],
    ['; a comment', '1:1', /or a # comment$/],
    ['[[listen]', '1:10', /; write \[\[name\]\] with two brackets on each side/],
    ['a = 1\na = 2', '2:1', /redefine .*; a key or a table may be there once: delete one/],
    ['a = [1, 2', '1:10', /; separate the members by commas, and close the list with \]/],
    ['a = 1 b = 2', '1:7', /; write one key = value on a line/],
  ]
  for (const [text, place, message] of table) {
    const error = t.throws(() => loadConfig('m.toml', text), { name: 'ConfigError', message }) as ConfigError
    t.ok(error.message.startsWith(`m.toml:${place}: no valid TOML: `), error.message)
    t.equal(error.problems.length, 1)
  }
  t.end()
})

t.test('the time to check a file grows with its length, not with its square', t => {
  const makers: Record<string, [most: number, make: (count: number) => string]> = {
    'a key of many levels': [20_000, count => `${Array(count).fill('a').join('.')} = 1`],
    'a table of many levels': [20_000, count => `[${Array(count).fill('a').join('.')}]\nb = 1`],
    'an array of tables at many levels': [20_000, count => `[[${Array(count).fill('a').join('.')}]]\nb = 1`],
    'tables in tables': [900, count => `a = ${'{ a = '.repeat(count)}1${' }'.repeat(count)}`],
    'lists in lists': [900, count => `a = ${'['.repeat(count)}1${']'.repeat(count)}`],
    'many wrong keys': [20_000, count => Array.from({ length: count }, (_, i) => `k${i} = 1`).join('\n')],
    'many wrong listeners': [20_000, count => '[[listen]]\naddres = "x"\n'.repeat(count)],
  }
  /** Time of the processor, which other processes do not lengthen. */
  const timeOf = (text: string): number => {
    const before = process.cpuUsage()
    t.throws(() => loadConfig('m.toml', text), { name: 'ConfigError' })
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  for (const [name, [most, make]] of Object.entries(makers)) {
    // Four times as much takes four times as long, by the square sixteen times. What else takes time, as a collection of
    // garbage, is not in the least of many times.
    let [few, many, ratio] = [Infinity, Infinity, Infinity]
    for (let i = 0; i < 12 && (i < 3 || ratio >= 10); i++) {
      few = Math.min(few, timeOf(make(most / 4)))
      many = Math.min(many, timeOf(make(most)))
      ratio = many / few
    }
    t.ok(ratio < 10, `${name}: ${ratio.toFixed(1)}`)
  }
  t.end()
})

t.test('places of keys, in all forms that TOML has', t => {
  const text = `a.b."c d" = 1
# comment
[t]
x = [1, { y = 2 }]
[[l]]
k = 1
[[l]]
'k' = 2
[l.m]
n = """
q = 3
"""
`
  const locate = locateKeys(text)
  const places: [(string | number)[], number, number][] = [
    [['a', 'b', 'c d'], 1, 1],
    [['t'], 3, 1],
    [['t', 'x', 1, 'y'], 4, 11],
    [['l', 0, 'k'], 6, 1],
    [['l', 1, 'k'], 8, 1],
    [['l', 1, 'm', 'n'], 10, 1],
    [['l', 1, 'none'], 7, 1],
  ]
  for (const [path, line, column] of places) t.strictSame(locate(path), { line, column }, path.join('.'))
  t.equal(locate(['q']), null)
  t.end()
})
