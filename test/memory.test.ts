import t from 'tap'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const script = fileURLToPath(new URL('fixtures/stream-mail.js', import.meta.url))
const MIB = 2 ** 20

t.test('128 MiB for a consumer that takes its time: at most 4 MiB of it are in memory', async t => {
  // Without what tap has put there for this process: it would be measured too.
  const env = { ...process.env, NODE_OPTIONS: '' }
  const { stdout } = await promisify(execFile)(process.execPath, [script, '128'], { env })
  const { growth, octets, codes } = JSON.parse(stdout) as { growth: number; octets: number; codes: string }
  t.equal(codes, '220 354 250 221')
  t.ok(octets > 125 * MIB && octets < 130 * MIB)
  t.ok(growth < 4, `${growth.toFixed(1)} MiB`)
})
