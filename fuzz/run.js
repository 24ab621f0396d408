// Fuzzes the session, SmtpClient and the relay: dialogues made of valid and bent commands, cut anywhere, against a model of the RFCs.
//
//   npm run fuzz -- --seconds 60
//     --seconds N     for how long
//     --seed N        the same cases again
//     --lib FOLDER    the library to fuzz, as `dist/lib` of another build
//     --how HOW       memory, pair or socket; client or relay; by default a mixture, mostly in memory
//     --case FILE     runs one case, such as one of fuzz/corpus
//     --oracle O      model, or same: only that every chunking gives the same, for builds that speak otherwise
//     --keep FOLDER   where a failing case is kept, shrunk; default fuzz/corpus
//     --coverage      prints how much of each file of the library the cases have run, the least first; it takes longer
//
// The last line says how many cases and commands ran. Exits with 1 at the first failing case.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Random } from '../scripts/soak/random.js'
import { makeCase } from './cases.js'
import { startCoverage } from './coverage.js'
import { loadLibrary } from './library.js'
import { fewerMails, makeMails } from './mails.js'
import { runCase } from './run-case.js'
import { shrink } from './shrink.js'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    lib: { type: 'string', default: join(HERE, '../dist/lib') },
    how: { type: 'string' },
    oracle: { type: 'string', default: 'model' },
    case: { type: 'string' },
    keep: { type: 'string', default: join(HERE, 'corpus') },
    coverage: { type: 'boolean', default: false },
  },
})

function makeCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'mailhandler-fuzz-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const what = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', [...what, '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'pipe' })
  const made = { key: readFileSync(key), cert: readFileSync(cert) }
  rmSync(folder, { recursive: true })
  return made
}

const WAYS = { memory: 80, pair: 7, socket: 3, client: 7, relay: 3 }
const coverage = values.coverage ? await startCoverage(values.lib) : null
const lib = await loadLibrary(values.lib)
const tls = makeCertificate()
const context = { lib, tls, oracle: values.oracle }
let running = null
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, error => {
    console.log(`${event}: ${error?.stack ?? error}`)
    if (running !== null) void fail(running, `${event}: ${error?.message}`)
  })
}

async function fail(given, problem) {
  running = null // what comes while the case is shrunk is not another
  console.log(`seed ${values.seed}: ${problem}`)
  const small = await shrink(given, each => runCase(context, each), given.mails === undefined ? undefined : fewerMails)
  const file = join(values.keep, `found-${values.seed}.json`)
  writeFileSync(file, `${JSON.stringify(small.case, null, 2)}\n`)
  console.log(`shrunk, and kept as ${file}:\n${JSON.stringify(small.case.groups ?? small.case)}\n${small.problem}`)
  process.exit(1)
}

async function fuzz() {
  const random = new Random(Number(values.seed))
  const until = performance.now() + Number(values.seconds) * 1000
  const counts = { memory: 0, pair: 0, socket: 0, client: 0, relay: 0 }
  let units = 0
  while (performance.now() < until) {
    const how = values.how ?? random.pick(WAYS)
    const isMails = how === 'client' || how === 'relay'
    const given = isMails
      ? makeMails(random, how)
      : { ...makeCase(random, { canUpgrade: how !== 'memory', canBeProxied: how === 'socket' }), how }
    running = given
    const problem = await runCase(context, given)
    if (problem !== null) await fail(given, problem)
    counts[how] += 1
    units += isMails ? given.mails.length : given.groups.flat().length
  }
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  const by = Object.entries(counts).map(([how, count]) => `${count} ${how}`).join(', ') // prettier-ignore
  console.log(`${total} cases (${by}), ${units} units: nothing found`)
}

if (values.case === undefined) {
  console.log(`seed ${values.seed}, ${values.seconds} s`)
  await fuzz()
  if (coverage !== null) console.log(await coverage())
} else {
  const problem = await runCase(context, JSON.parse(readFileSync(values.case, 'utf8')))
  console.log(problem ?? 'nothing found')
  process.exitCode = problem === null ? 0 : 1
}
