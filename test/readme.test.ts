// The snippets of README.md and docs/: each compiles as it stands, by the package's own name, and each that can run does.

import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { converse } from '../lib/testing/index.ts'
import { bareNode } from './fixtures/bare-node.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { client } from './fixtures/clients.ts'
import { delivered, start } from './fixtures/command.ts'
import { readText, ROOT } from './fixtures/repository.ts'

// Inside of the package, so that it is found by its own name.
const FOLDER = join(ROOT, 'dist/snippets')

const CONFIGURATION = {
  extends: '../../tsconfig.json',
  compilerOptions: {
    rootDir: '.',
    outDir: 'out',
    declaration: false,
    isolatedDeclarations: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    sourceMap: false,
  },
  include: ['*.ts'],
}

interface Snippet {
  /** `README-3` */
  readonly name: string
  readonly code: string
}

function snippets(file: string): Snippet[] {
  const blocks = [...readText(file).matchAll(/^```(?:ts|js)\n([^]*?)^```$/gm)]
  const base = file.replace(/^.*\/|\.md$/g, '')
  return blocks.map(([, code = ''], i) => ({ name: `${base}-${i + 1}`, code }))
}

const all = [
  'README.md',
  'docs/guide.md',
  'docs/api.md',
  'docs/stores.md',
  'docs/deliveries.md',
  'docs/migration.md',
  'docs/recipes.md',
].flatMap(snippets)
const serves = ({ code }: Snippet): boolean => /\.listen\(\d+\)/.test(code)
const isTest = ({ code }: Snippet): boolean => code.includes('node:test')

t.test('each compiles', async t => {
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify(CONFIGURATION))
  for (const { name, code } of all) writeFileSync(join(FOLDER, `${name}.ts`), `${code}\nexport {}\n`)
  t.ok(all.length > 5)
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const result = await promisify(execFile)(...bareNode([tsc, '-p', FOLDER])).catch((error: Error) => error)
  t.match(result, { stdout: '', stderr: '' })
  for (const { name } of all) t.ok(existsSync(join(FOLDER, 'out', `${name}.js`)), name)
})

t.test('what does not serve runs to its end', async t => {
  t.ok(all.some(isTest))
  for (const snippet of all.filter(each => !serves(each))) {
    const program = bareNode([join(FOLDER, 'out', `${snippet.name}.js`)])
    const { stdout, stderr } = await promisify(execFile)(...program)
    t.equal(stderr, '', snippet.name)
    if (!isTest(snippet)) continue
    t.match(stdout, /(?:#|ℹ) pass [1-9]\d*\n/, snippet.name)
    t.match(stdout, /(?:#|ℹ) fail 0\n/, snippet.name)
  }
})

t.test('what serves greets', { skip: client('openssl') === null ? 'openssl is missing' : false }, async t => {
  const cwd = t.testdir()
  makeCertificate(cwd) // key.pem, cert.pem
  const servers = all.filter(serves)
  t.ok(servers.length > 3)
  const greetings = servers.map(async ({ name }) => {
    const file = join(FOLDER, 'out', `${name}.js`)
    const code = readFileSync(file, 'utf8')
    writeFileSync(
      file,
      code.replace(/\.listen\(\d+\)/, ".listen(0, '127.0.0.1', function () { console.log(this.address().port) })"),
    )
    const child = spawn(...bareNode([file]), { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill())
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout.once('data', text => resolve(Number(text)))
      child.once('exit', code => reject(new Error(`${name} ended with ${code}`)))
    })
    const c = converse(connect({ port, host: '127.0.0.1', allowHalfOpen: true }), { timeout: 60_000 })
    await c.expect(220)
    const ehlo = await c.command('EHLO client.example')
    if (ehlo.code !== 250) await c.command('HELO client.example', 250)
    await c.command('QUIT', 221)
    await c.closed()
    return name
  })
  t.equal((await Promise.all(greetings)).length, servers.length)
})

t.test('the mail that a newcomer sends', { skip: client('curl') === null ? 'curl is missing' : false }, async t => {
  const [, command = ''] = /^(curl .*)$/m.exec(readText('README.md')) ?? []
  t.notMatch(command, /--crlf/)
  const folder = t.testdir()
  const server = start(['serve', '--listen', '127.0.0.1:0'], folder) // what npm start runs
  const port = await server.port
  await promisify(execFile)('sh', ['-c', command.replace('2525', String(port))], { cwd: ROOT })
  const [name = ''] = delivered(join(folder, 'Maildir'))
  const message = readFileSync(join(folder, 'Maildir/new', name), 'utf8')
  // curl takes the file's last LF for no line end, and adds CRLF.
  t.ok(message.endsWith(`\r\n${readText('README.md').replaceAll('\n', '\r\n')}\r\n`), 'LF has become CRLF')
  t.notMatch(message, /[^\r]\n/)
  server.child.kill('SIGTERM')
  await server.ended
})

t.test('each file that is linked is there', t => {
  for (const file of [
    'README.md',
    ...readdirSync(join(ROOT, 'docs'))
      .filter(name => name.endsWith('.md'))
      .map(name => `docs/${name}`),
  ]) {
    for (const [, target = ''] of readText(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      t.ok(existsSync(join(ROOT, file, '..', target)), `${file}: ${target}`)
    }
  }
  t.end()
})

t.test('README.md has at most 200 lines', t => {
  t.ok(readText('README.md').split('\n').length <= 200)
  t.end()
})

t.test('a snippet of README.md imports only what it told the reader to install', t => {
  for (const { name, code } of snippets('README.md')) {
    for (const [, from = ''] of code.matchAll(/ from '([^']+)'/g)) t.match(from, /^(?:node:|mailhandler(?:\/|$))/, name)
  }
  t.end()
})

t.test('the tables of entry points are complete', t => {
  const { exports } = JSON.parse(readText('package.json')) as { exports: object }
  const entries = Object.keys(exports).map(entry => `mailhandler${entry.slice(1)}`)
  for (const file of ['README.md', 'docs/api.md']) {
    const listed = [...readText(file).matchAll(/^\| `(mailhandler[^ `]*)` \|/gm)].map(([, name]) => name)
    const wanted = file === 'README.md' ? entries.filter(entry => !entry.endsWith('.json')) : entries
    t.strictSame(new Set(listed), new Set(wanted), file)
  }
  t.end()
})

t.test('the table of packages is complete, and tells which of them the reader installs', t => {
  const { dependencies, peerDependencies } = JSON.parse(readText('package.json')) as Record<string, object>
  const rows = [...readText('README.md').matchAll(/^\| ([@\w/-]+)(?:, with [^|]*)? \| (yes|by you)[^|]* \| by /gm)]
  const told = (who: string): string[] => rows.flatMap(([, name = '', by]) => (by === who ? [name] : [])).toSorted()
  t.strictSame(told('yes'), Object.keys(dependencies ?? {}).toSorted())
  t.strictSame(told('by you'), Object.keys(peerDependencies ?? {}).toSorted())
  t.end()
})

t.test('the table of hooks is complete', t => {
  const hooks = readText('lib/smtp/hooks.ts').split('export interface Delivery')[0]!
  const declared = [...hooks.matchAll(/^ {2}(on\w+)\?\(/gm)].map(([, name]) => name)
  const listed = [...readText('docs/guide.md').matchAll(/^\| `(on\w+)\(/gm)].map(([, name]) => name)
  t.strictSame(new Set(listed), new Set(declared))
  t.end()
})
