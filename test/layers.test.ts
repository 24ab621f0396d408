// Imports only point down; protocol/ and words/ are pure; only cli/ reads the command line and the environment.

import { posix } from 'node:path'
import t from 'tap'
import { readText, sources } from './fixtures/repository.ts'

/** From top to bottom. Files directly in lib/ are entries: 'index'. */
const LAYERS = [
  'index',
  'cli',
  'testing',
  'server',
  'deliveries',
  'policies',
  'filters',
  'stores',
  'dns',
  'smtp',
  'client',
  'stream',
  'transforms',
  'sasl',
  'web',
  'tls',
  'log',
  'time',
  'protocol',
  'words',
]

/** What a pure file may take from Node. `node:net` only for the names that touch no socket. */
const PURE_MODULES = new Set(['node:buffer', 'node:crypto', 'node:url', 'node:util'])
const PURE_NET = new Set(['isIP', 'isIPv4', 'isIPv6', 'BlockList', 'SocketAddress'])
const IMPURE_GLOBALS = /\b(?:setTimeout|setInterval|setImmediate|fetch\(|console\.|process\.)/

const IMPORT = /^(?:import|export)\b([^'"]*?)\bfrom\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm

interface Import {
  readonly names: readonly string[]
  readonly from: string
}

function imports(source: string): Import[] {
  return [...source.matchAll(IMPORT)].map(([, clause = '', from, bare, dynamic]) => ({
    names: clause.match(/[A-Za-z_$][\w$]*/g)?.filter(name => name !== 'type' && name !== 'as') ?? [],
    from: from ?? bare ?? dynamic ?? '',
  }))
}

function layer(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : 'index'
}

/** Layers that the testing kit does without. */
const NOT_FOR_TESTING = new Set(['deliveries', 'policies', 'filters'])

/** True where a file of the one layer may import one of the other; `file` is the one that imports. */
function mayImport(from: string, to: string, file: string): boolean {
  if (from === to) return true
  if (to === 'testing') return file.startsWith('cli/catch/') // the server behind catchMail() is that of the command
  if (from === 'testing' && NOT_FOR_TESTING.has(to)) return false
  return LAYERS.indexOf(to) > LAYERS.indexOf(from)
}

function isPure({ names, from }: Import): boolean {
  return PURE_MODULES.has(from) || (from === 'node:net' && names.every(name => PURE_NET.has(name)))
}

/** What is wrong with a file of lib/, in words. */
function violations(file: string, text: string): string[] {
  const source = text.replaceAll(/^\s*(?:\/\/|\/?\*).*$|\s\/\/ .*$/gm, '')
  const own = layer(file)
  const pure = own === 'protocol' || own === 'words'
  const found: string[] = []
  if (!LAYERS.includes(own)) found.push(`${own}/ is no layer`)
  for (const each of imports(source)) {
    if (each.from.startsWith('.')) {
      const target = posix.join(posix.dirname(file), each.from)
      if (!mayImport(own, layer(target), file)) found.push(`${own} must not import ${target}`)
    } else if (pure && !isPure(each)) found.push(`${own} must not import ${each.from}`)
    if (each.from === 'node:process' && own !== 'cli') found.push('only cli reads node:process')
  }
  if (pure && IMPURE_GLOBALS.test(source)) found.push(`${own} must not use ${IMPURE_GLOBALS.exec(source)?.[0]}`)
  if (own !== 'cli' && /\bprocess\.(?:argv|env)\b/.test(source))
    found.push('only cli reads process.argv and process.env')
  return found
}

t.test('each file of lib imports only downwards', t => {
  const files = sources('lib')
  t.ok(files.length > 1)
  for (const file of files) t.strictSame(violations(file, readText(`lib/${file}`)), [], file)
  t.end()
})

t.test('what the rules allow', t => {
  const allowed: [string, string][] = [
    ['index.ts', `export { Reply } from './words/reply.ts'`],
    ['server/a.ts', `import { createServer } from 'node:net'\nimport { x } from '../stream/x.ts'`],
    ['testing/a.ts', `import { x } from '../smtp/x.ts'`],
    ['testing/a.ts', `import { x } from '../server/x.ts'`],
    ['cli/catch/a.ts', `import { x } from '../../testing/x.ts'`],
    [
      'protocol/a.ts',
      `import { isIP, type SocketAddress } from 'node:net'\nimport type { Reply } from '../words/reply.ts'`,
    ],
    ['policies/greylist/a.ts', `import { b } from './b.ts'\nimport { c } from '../c.ts'`],
    ['words/a.ts', '// as process.env has it'],
    ['cli/a.ts', 'run(process.argv)'],
  ]
  for (const [file, source] of allowed) t.strictSame(violations(file, source), [], source)
  t.end()
})

t.test('what the rules refuse', t => {
  const refused: [string, string][] = [
    ['words/a.ts', `import { x } from '../protocol/x.ts'`],
    ['words/a.ts', `import type { x } from '../index.ts'`],
    ['stream/a.ts', `export * from '../smtp/x.ts'`],
    ['stream/a.ts', `const x = await import('../smtp/x.ts')`],
    ['stream/a.ts', `import {\n  x,\n} from '../smtp/x.ts'`],
    ['smtp/a.ts', `import '../testing/index.ts'`],
    ['index.ts', `import './testing/index.ts'`],
    ['cli/a.ts', `import { x } from '../testing/x.ts'`],
    ['testing/a.ts', `import { x } from '../policies/x.ts'`],
    ['testing/a.ts', `import { x } from '../cli/x.ts'`],
    ['protocol/a.ts', `import { Duplex } from 'node:stream'`],
    ['protocol/a.ts', `import { isIP, connect } from 'node:net'`],
    ['protocol/a.ts', `import split from 'split2'`],
    ['protocol/a.ts', 'setTimeout(f, 1)'],
    ['smtp/a.ts', `if (process.env['X']) f()`],
    ['smtp/a.ts', `import { argv } from 'node:process'`],
    ['helpers/a.ts', ''],
  ]
  for (const [file, source] of refused) t.not(violations(file, source).length, 0, `${file}: ${source}`)
  t.end()
})

/** The files that an import of an entry point loads, and no others: what a dynamic import loads is left out. */
function loadedBy(file: string, known: Set<string> = new Set()): Set<string> {
  if (known.has(file)) return known
  known.add(file)
  const statements = readText(`lib/${file}`).matchAll(/^(?:import|export) (?!type )[^'"]*?\bfrom\s+'(\.[^']+)'/gm)
  for (const [, from = ''] of statements) loadedBy(posix.join(posix.dirname(file), from), known)
  return known
}

t.test('what an entry point loads compiles as CommonJS, as Jest wants it', t => {
  const { exports } = JSON.parse(readText('package.json')) as { exports: Record<string, string | { default: string }> }
  const entries = Object.values(exports).flatMap(each => (typeof each === 'string' ? [] : [each.default]))
  const files = new Set<string>()
  for (const entry of entries) loadedBy(`${entry.replace(/^\.\/dist\/lib\/|\.js$/g, '')}.ts`, files)
  t.ok(files.has('stores/sqlite/worker-link.ts') && files.has('testing/stores/races.ts'))
  for (const file of files) {
    const code = readText(`lib/${file}`).replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '')
    t.notMatch(code, /import\.meta|createRequire|^await /m, file)
  }
  t.end()
})
