// Policies and deliveries of one's own: [[policy]], [delivery], and serve() in a program.

import { cpSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { ConfigError, showProblem } from '../lib/cli/config/problems.ts'
import { loadParts } from '../lib/cli/modules.ts'
import { makeSettings, type Settings } from '../lib/cli/settings.ts'
import { SmtpHandler } from '../lib/index.ts'
import { serve, type ServeOptions } from '../lib/serve.ts'
import { begin } from './fixtures/dialogue.ts'
import { Client, follow, run, start } from './fixtures/command.ts'
import { ROOT } from './fixtures/repository.ts'
import { spawn } from 'node:child_process'

const FILE = 'm.toml'
const QUOTA = join(ROOT, 'examples/policies/quota.js')

async function settings(folder: string, text: string): Promise<Settings> {
  return makeSettings(await loadParts(loadConfig(join(folder, FILE), text)))
}

/** What is wrong with a configuration, without its folder. */
async function problems(t: Test, text: string, files: Parameters<Test['testdir']>[0] = {}): Promise<string[]> {
  const folder = t.testdir(files)
  try {
    ;(await settings(folder, text)).close()
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(each => showProblem(each).replaceAll(`${folder}/`, ''))
  }
}

/** The module is in a project of its own, and not in that of these tests. */
const ALONE = '{ "type": "module" }\n'

/** Installs the package beside a module: another copy than the command is, as with `npm install --global`. */
function installCopy(folder: string): void {
  const packages = join(folder, 'node_modules')
  writeFileSync(join(folder, 'package.json'), ALONE)
  cpSync(join(ROOT, 'dist/lib'), join(packages, 'mailhandler/dist/lib'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(packages, 'mailhandler/package.json'))
  for (const name of ['split2', 'through2']) symlinkSync(join(ROOT, 'node_modules', name), join(packages, name))
}

t.test('a policy of a module judges, with its options and its own copy of the package', async t => {
  const folder = t.testdir()
  cpSync(QUOTA, join(folder, 'quota.js'))
  installCopy(folder)
  const policy = '[[policy]]\nmodule = "./quota.js"\n[policy.options]\n'
  const made = await settings(folder, `${policy}messages = 1\nexcept = ["b@example.net"]\n`)
  const handler = new SmtpHandler(made.handlers[0]!)
  t.teardown(() => handler.destroy())
  const c = await begin(handler)
  for (const [sender, code] of [
    ['a@example.net', 250],
    ['a@example.net', 451],
    ['b@example.net', 250],
    ['b@example.net', 250],
    ['', 250],
  ] as const) {
    const told = code === 250 ? '250 2.1.0 …' : '451 4.7.1 Too many messages from this sender, please try again later'
    await c.command(`MAIL FROM:<${sender}>`, told)
    await c.command('RSET', 250)
  }
  made.close()
  const wrong: [string, string][] = [
    ['messages = 0\n', 'm.toml:4:1: policy[0].options.messages: is a whole number from 1'],
    ['messages = 1\n\nexcept = 7\n', 'm.toml:6:1: policy[0].options.except: is a list of addresses'],
    [
      'messages = 1\nmesages = 2\n',
      'm.toml:5:1: policy[0].options.mesages: there is no such option; there are messages and except',
    ],
    ['', 'm.toml:3:1: policy[0].options.messages: is a whole number from 1'],
  ]
  for (const [options, expected] of wrong) {
    const error = await settings(folder, policy + options).then(
      () => null,
      (error: Error) => error.message.replaceAll(`${folder}/`, ''),
    )
    t.equal(error, expected)
  }
})

const LIBRARY = join(ROOT, 'dist/lib/index.js')

t.test('what can be wrong with a module', async t => {
  const files = {
    'package.json': ALONE,
    'none.mjs': 'export const x = 1\n',
    'throws.mjs': 'throw new Error("no licence")\n',
    'syntax.mjs': 'const x = 1\n\nexport function (\n',
    'deep.mjs': 'import "./syntax.mjs"\n',
    'syntax.cjs': '\n\nconst (\n',
    'names.mjs': '\nimport { y } from "./none.mjs"\n',
    'library.mjs': 'import { allowRecipients } from "' + LIBRARY + '"\n\nallowRecipients(7)\n',
    'unknown.txt': '',
    'half.mjs': 'export const options = 7\nexport const policy = () => ({})\n',
    'plain.mjs': 'export const policy = () => ({ onHelo() {} })\n',
    'later.mjs': 'export const policy = async () => ({})\n',
    'nothing.mjs': 'export const policy = () => {}\nexport const delivery = () => null\n',
    'fails.mjs': 'export const policy = () => { throw new Error("no database") }\n',
    'odd.mjs': 'export const options = () => { throw "odd" }\nexport const policy = () => ({})\n',
    'hooks.mjs': 'export const policy = () => ({ onMessage() {} })\n',
    'typo.mjs': 'export const policy = () => ({ onRcpt() {} })\nexport const delivery = policy\n',
    'imports.mjs': 'import "./absent.mjs"\n',
    'alone.mjs': 'import { reply } from "mailhandler"\n',
    old: { 'package.json': '{ "type": "commonjs" }', 'old.js': 'import "node:fs"\n' },
    'driver.mjs': 'import "no-such-driver/x"\n',
  }
  const rows: [string, RegExp][] = [
    ['./absent.mjs', /^m\.toml:2:1: policy\[0\]\.module: there is no module .*absent\.mjs$/],
    ['no-such-package', /policy\[0\]\.module: there is no module no-such-package$/],
    ['./none.mjs', /none\.mjs exports no function named policy$/],
    ['./throws.mjs', /throws\.mjs cannot be loaded: line 1: no licence$/],
    ['./syntax.mjs', /syntax\.mjs cannot be loaded: line 3: Function statements require/],
    ['./deep.mjs', /deep\.mjs cannot be loaded: syntax\.mjs:3: Function statements require/],
    ['./syntax.cjs', /syntax\.cjs cannot be loaded: line 3: Unexpected token/],
    ['./names.mjs', /names\.mjs cannot be loaded: line 2: .* does not provide an export named 'y'/],
    ['./library.mjs', /library\.mjs cannot be loaded: line 3: /],
    ['./unknown.txt', /unknown\.txt cannot be loaded: Unknown file extension/],
    ['./imports.mjs', /imports\.mjs cannot be loaded: Cannot find module/],
    [
      './alone.mjs',
      /alone\.mjs cannot be loaded: .*'mailhandler' .*; run npm install mailhandler in the folder of the module/,
    ],
    ['./driver.mjs', /'no-such-driver' .*; run npm install no-such-driver in the folder of the module$/],
    ['./old/old.js', /import statement outside a module; let its name end with \.mjs, or set "type": "module"/],
    ['./half.mjs', /half\.mjs: its export named options is not a function$/],
    ['./later.mjs', /later\.mjs: its function policy returns a promise; prepare at the top of the module, with await$/],
    ['./nothing.mjs', /nothing\.mjs: its function policy returns no object with hooks$/],
    ['./fails.mjs', /policy\[0\]\.module: no database$/],
    ['./odd.mjs', /policy\[0\]\.options: odd$/],
    ['./hooks.mjs', /policy\[0\]\.module: hooks\.mjs: its policy has onMessage, but a policy takes no message/],
    [
      './typo.mjs',
      /^m\.toml:2:1: policy\[0\]\.module: typo\.mjs: its policy\.onRcpt: there is no such hook; did you mean onRcptTo\?$/,
    ],
  ]
  for (const [module, expected] of rows) {
    const [first, ...others] = await problems(t, `[[policy]]\nmodule = "${module}"\n`, files)
    t.match(first, expected, module)
    t.strictSame(others, [])
  }
  t.strictSame(await problems(t, '[[policy]]\nmodule = "./plain.mjs"\n', files), [])
  t.match(await problems(t, '[[policy]]\nmodule = "./plain.mjs"\noptions = { a = 1 }\n', files), [
    /^m\.toml:3:1: policy\[0\]\.options: .*plain\.mjs takes no options: it exports no function named options$/,
  ])
  t.match(await problems(t, '[delivery]\nmodule = "./nothing.mjs"\n', files), [
    /delivery\.module: .*its function delivery returns no object/,
  ])
  t.match(await problems(t, '[delivery]\nmodule = "./plain.mjs"\n', files), [/exports no function named delivery$/])
  t.match(await problems(t, '[delivery]\nmodule = "./typo.mjs"\n', files), [
    /^m\.toml:2:1: delivery\.module: typo\.mjs: delivery is an object with onMessage, not an object$/,
  ])
  t.match(await problems(t, '[[policy]]\nmodule = 7\n'), [/7 is not allowed here: a file/])
  t.match(await problems(t, '[[policy]]\nmodule = "x"\noptions = 7\n'), [/7 is not allowed here: a table/])
})

const TAKING = (text: string): string => `
export const options = ({ text }) => ({ text })
export const policy = ({ text }) => ({ onHelo: ({ helo }) => helo === 'bad' ? Promise.reject(new Error('x')) : undefined })
export const delivery = ({ text }, { name }) => ({
  name: 'mine',
  async onMessage(message) {
    for await (const _ of message);
    const { reply } = await import('${join(ROOT, 'dist/lib/index.js')}')
    return reply(250, '2.0.0', \`\${name} \${text} ${text}\`)
  },
})
`

t.test('two workers with a delivery of a module, which is loaded again on SIGHUP', async t => {
  const folder = t.testdir({ 'mine.mjs': TAKING('old') })
  const config = (text: string): string => `name = "mx.example.org"
workers = 2
listen = [{ address = "127.0.0.1:0" }]
[delivery]
module = "./mine.mjs"
options = { text = "${text}" }
[[policy]]
module = "./mine.mjs"
`
  writeFileSync(join(folder, FILE), config('first'))
  const server = start(['serve', '--config', FILE], folder)
  t.teardown(() => server.child.kill('SIGKILL'))
  const port = await server.port
  t.match(await Client.deliver(port, 'x'), /^250 2\.0\.0 mx\.example\.org first old/)
  writeFileSync(join(folder, 'mine.mjs'), TAKING('new'))
  utimesSync(join(folder, 'mine.mjs'), 1, 1)
  writeFileSync(join(folder, FILE), config('second'))
  server.child.kill('SIGHUP')
  await server.says(/"reloaded"[^]*"reloaded"[^]*"reloaded"/) // the primary and both workers
  t.match(await Client.deliver(port, 'x'), /^250 2\.0\.0 mx\.example\.org second new/)
  writeFileSync(join(folder, 'mine.mjs'), 'x x')
  server.child.kill('SIGHUP')
  await server.says(/not reloaded/)
  t.match(await Client.deliver(port, 'x'), /^250 2\.0\.0 mx\.example\.org second new/)
  server.child.kill('SIGTERM')
  t.equal((await server.ended).code, 0)
})

t.test('a program that serves: examples/serve.ts, alone and with workers', async t => {
  for (const workers of [1, 2]) {
    const folder = t.testdir({ [FILE]: `workers = ${workers}\nname = "mx.example.org"\n` })
    const env = { ...process.env, PORT: '0', CONFIG: join(folder, FILE) }
    const program = join(ROOT, 'dist/examples/serve.js')
    const server = follow(spawn(process.execPath, [program], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] }))
    t.teardown(() => server.child.kill('SIGKILL'))
    const port = await server.port
    const client = new Client(port)
    t.match(await client.reply(), /^220 mx\.example\.org/)
    await client.say('EHLO client.example')
    t.match(await client.say('MAIL FROM:<>'), /^550 5\.7\.1 Bounces/)
    t.match(await client.send('x'), /^250 2\.0\.0 Printed/)
    await client.say('QUIT')
    server.child.kill('SIGTERM')
    const { code, stdout, stderr } = await server.ended
    t.equal(code, 0)
    t.match(stdout, /^ann@example\.net: test$/m)
    t.match(stderr, /"delivery":"printing"/)
    t.match(stderr, /"msg":"transaction"/)
  }
})

t.test('serve() refuses what is wrong', async t => {
  const wrong: [unknown, RegExp][] = [
    [{ confg: 'x' }, /did you mean config/],
    [{ config: 7 }, /config is the path of a file/],
    [{ settings: 7 }, /settings is an object/],
    [{ policies: 7 }, /policies is a list/],
    [{ settings: { worker: 1 } }, /settings: worker: there is no such key; did you mean workers/],
    [{ config: '/no/such/file' }, /there is no such file/],
  ]
  for (const [options, message] of wrong) await t.rejects(serve(options as ServeOptions), { message }, String(message))
})

t.test('check says what is wrong with a module', async t => {
  const folder = t.testdir({ [FILE]: '[[policy]]\nmodule = "./absent.js"\n' })
  const { code, stderr } = await run(['check', '-c', FILE], folder)
  t.equal(code, 1)
  t.match(stderr, /^m\.toml:2:1: policy\[0\]\.module: there is no module .*absent\.js\n$/)
})
