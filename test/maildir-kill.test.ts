import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const CHILD = join(import.meta.dirname, 'fixtures', 'maildir-child.js')

/** Lets a child deliver, kills it after so many acknowledgements and a little more; the ids it acknowledged. */
function killed(path: string, after: number, wait: number): Promise<string[]> {
  return new Promise(resolve => {
    let out = ''
    const child = spawn(process.execPath, [CHILD, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      const before = out.split('\n').length
      out += text
      if (before <= after && out.split('\n').length > after) setTimeout(() => child.kill('SIGKILL'), wait)
    })
    child.once('close', () => resolve(out.split('\n').slice(0, -1)))
  })
}

t.test('kill -9: what was acknowledged is there, and nothing in new/ is partial', async t => {
  const path = join(t.testdir(), 'mail')
  const acknowledged: string[] = []
  for (const [after, wait] of [
    [1, 0],
    [20, 1],
    [50, 3],
    [80, 7],
    [120, 2],
  ] as const) {
    acknowledged.push(...(await killed(path, after, wait)))
  }
  const names = new Set(readdirSync(join(path, 'new')))
  t.ok(acknowledged.length >= 271, `${acknowledged.length} acknowledged`)
  t.same(
    acknowledged.filter(id => !names.has(id)),
    [],
    'all acknowledged are there',
  )
  const broken = [...names].filter(name => {
    const data = readFileSync(join(path, 'new', name))
    return data.toString('latin1', 0, 64) !== createHash('sha256').update(data.subarray(66)).digest('hex')
  })
  t.same(broken, [], `all ${names.size} are whole`)
})
