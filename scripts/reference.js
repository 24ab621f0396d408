// Writes the API reference, which typedoc makes of the TSDoc, into reference/ (not committed). Fails for an exported
// member without TSDoc, and for a link that leads nowhere.
//
//   npm run reference [-- --allow-broken-links]

import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, stripVTControlCharacters } from 'node:util'

// typedoc does not accept TypeScript 7, which has no JavaScript API. npx keeps both out of node_modules.
const TYPEDOC = ['--yes', '--package=typescript@6.0.3', '--package=typedoc@0.28.20', 'typedoc']

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const OPTIONS = join(ROOT, '.typedoc.json')
const TSCONFIG = join(ROOT, '.typedoc.tsconfig.json')

const { values } = parseArgs({ options: { 'allow-broken-links': { type: 'boolean' } } })

const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const entryPoints = Object.values(exports)
  .filter(conditions => typeof conditions !== 'string')
  .map(({ types }) => types.replace('./dist/', './').replace(/\.d\.ts$/, '.ts'))

// Without the tests, which add to interfaces of the package what is no part of it.
writeFileSync(TSCONFIG, JSON.stringify({ extends: './tsconfig.json', include: ['lib'] }))
writeFileSync(
  OPTIONS,
  JSON.stringify({
    entryPoints,
    tsconfig: TSCONFIG,
    out: 'reference',
    readme: 'none',
    disableSources: true,
    excludeExternals: true,
    excludePrivate: true,
    // What no entry exports is counted by `npm run api`.
    validation: { invalidLink: true, notDocumented: true, notExported: false, rewrittenLink: true },
  }),
)
const { status, stdout, stderr } = spawnSync('npx', [...TYPEDOC, '--options', OPTIONS], { cwd: ROOT, encoding: 'utf8' })
for (const file of [OPTIONS, TSCONFIG]) rmSync(file)

const warnings = stripVTControlCharacters(`${stdout}${stderr}`)
  .split('\n')
  .filter(line => /^\[(?:warning|error)\] (?!Found )/.test(line))
  .map(line => line.replace(/^\[\w+\] /, '').replace(/ To fix this warning .*/, ''))

// What overrides a method of Node's streams has Node's documentation.
const undocumented = warnings
  .filter(line => line.endsWith('does not have any documentation'))
  .map(line => line.replace(/, defined in .*/, ''))
  .filter(name => !/\.(?:_[a-z]+|emit|pipe|unpipe) /.test(name))
const rest = warnings.filter(line => !line.endsWith('does not have any documentation'))
const broken = rest.filter(line => /\blinks? to\b/.test(line))
const others = rest.filter(line => !broken.includes(line))

report('Exported members without TSDoc', undocumented)
report('Links that lead nowhere', broken)
if (others.length > 0) report('What else typedoc says', others)
if (status !== 0) console.log(`typedoc failed: ${stderr || stdout}`)

const isBroken = broken.length > 0 && !values['allow-broken-links']
process.exitCode = status !== 0 || isBroken || others.length > 0 || undocumented.length > 0 ? 1 : 0

function report(title, lines) {
  console.log(`${title}: ${lines.length}`)
  for (const line of lines) console.log(`  ${line}`)
}
