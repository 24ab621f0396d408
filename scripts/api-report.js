// The public API, written down: `npm run api` writes a report of each entry point into api/, `npm run api:check` fails
// when a report differs from what is built, when a public signature names a type that no entry exports, and when two
// entries export the same name. `--allow-forgotten` prints the last two and lets them pass.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'api')
const BUILT = join(ROOT, 'dist/lib/')

// API Extractor brings the TypeScript that it was written for; the project's own has no JavaScript API.
const require = createRequire(import.meta.url)
const ts = require(require.resolve('typescript', { paths: [require.resolve('@microsoft/api-extractor')] }))

const compilerOptions = {
  target: 'es2023',
  lib: ['es2023', 'esnext.disposable'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  skipLibCheck: true,
}

/** Entry points by their name in `exports`: `{ name: 'server', file: '…/dist/lib/server/index.d.ts' }`. */
function entryPoints() {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return Object.entries(exports)
    .filter(([, conditions]) => typeof conditions !== 'string')
    .map(([entry, { types }]) => ({ name: entry === '.' ? 'index' : entry.slice(2), file: join(ROOT, types) }))
}

/** Writes the report of one entry point into the folder. */
function writeReport({ name, file }, folder) {
  const off = { default: { logLevel: 'none' } }
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: ROOT,
      mainEntryPointFilePath: file,
      newlineKind: 'lf',
      compiler: { overrideTsconfig: { compilerOptions, include: [`${BUILT}**/*.d.ts`] } },
      apiReport: {
        enabled: true,
        reportFolder: folder,
        reportTempFolder: join(folder, 'temp'),
        reportFileName: name.replaceAll('/', '-'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: { compilerMessageReporting: off, extractorMessageReporting: off, tsdocMessageReporting: off },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(ROOT, 'package.json'),
  })
  Extractor.invoke(config, {
    localBuild: true, // writes a report that differs in place of failing
    messageCallback: message => (message.handled = true),
  })
}

/** Writes the reports of all entry points into the folder, which is empty. */
function writeReports(entries, folder) {
  for (const entry of entries) writeReport(entry, folder)
  rmSync(join(folder, 'temp'), { recursive: true, force: true })
}

/** What an exported declaration names that is declared in lib/: private members and function bodies left out. */
function namedTypes(checker, declaration, found = new Map()) {
  const visit = node => {
    const flags = ts.isClassElement(node) ? ts.getCombinedModifierFlags(node) : 0
    if (flags & ts.ModifierFlags.Private || (node.name && ts.isPrivateIdentifier(node.name))) return
    if (ts.isIdentifier(node)) {
      const symbol = resolved(checker, checker.getSymbolAtLocation(node))
      const from = symbol?.declarations?.[0]
      if (from && isTopLevel(from) && from.getSourceFile().fileName.startsWith(BUILT)) found.set(symbol, from)
    }
    ts.forEachChild(node, visit)
  }
  visit(declaration)
  return found
}

function resolved(checker, symbol) {
  return symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
}

function isTopLevel(declaration) {
  const { parent } = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration
  return ts.isSourceFile(parent)
}

/** What is wrong with the names that the entry points export, a line each. */
function problems(entries) {
  const program = ts.createProgram(
    entries.map(entry => entry.file),
    {
      ...compilerOptions,
      lib: compilerOptions.lib.map(name => `lib.${name}.d.ts`),
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
    },
  )
  const checker = program.getTypeChecker()
  /** Exported symbol → the entries that export it. */
  const exported = new Map()
  for (const { name, file } of entries) {
    const entry = checker.getSymbolAtLocation(program.getSourceFile(file))
    for (const each of checker.getExportsOfModule(entry)) {
      const symbol = resolved(checker, each)
      exported.set(symbol, [...(exported.get(symbol) ?? []), `${name}: ${each.name}`])
    }
  }
  const forgotten = new Map()
  for (const [symbol, [where]] of exported) {
    for (const declaration of symbol.declarations) {
      for (const [named, from] of namedTypes(checker, declaration)) {
        if (exported.has(named)) continue
        const file = relative(BUILT, from.getSourceFile().fileName).replace(/\.d\.ts$/, '.ts')
        const key = `${named.name} (lib/${file})`
        forgotten.set(key, [...(forgotten.get(key) ?? []), where])
      }
    }
  }
  return {
    forgotten: [...forgotten].map(([name, by]) => `${name}, named by ${[...new Set(by)].join(', ')}`).toSorted(),
    twice: [...exported.values()]
      .filter(({ length }) => length > 1)
      .map(names => names.join(', '))
      .toSorted(),
  }
}

function list(title, lines) {
  console.log(`${title}: ${lines.length}`)
  for (const line of lines) console.log(`  ${line}`)
}

/** The names of the reports that are not the same in both folders. */
function differences(kept, made) {
  const read = (folder, name) => {
    const file = join(folder, name)
    return existsSync(file) ? readFileSync(file, 'utf8') : null
  }
  const names = [kept, made].flatMap(folder => (existsSync(folder) ? readdirSync(folder) : []))
  return [...new Set(names)].filter(name => read(kept, name) !== read(made, name))
}

const { values } = parseArgs({ options: { check: { type: 'boolean' }, 'allow-forgotten': { type: 'boolean' } } })
const entries = entryPoints()
if (values.check) {
  const made = mkdtempSync(join(tmpdir(), 'api-'))
  try {
    writeReports(entries, made)
    const changed = differences(FOLDER, made)
    if (changed.length > 0) {
      list('Reports that differ from what is built (npm run api writes them: commit them with the change)', changed)
      process.exitCode = 1
    }
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
} else {
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER)
  writeReports(entries, FOLDER)
}
const { forgotten, twice } = problems(entries)
list('Types that a public signature names and no entry exports', forgotten)
list('Names that more than one entry exports', twice)
if (values.check && !values['allow-forgotten'] && forgotten.length + twice.length > 0) process.exitCode = 1
