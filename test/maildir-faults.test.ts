// Deliveries to a file system that fails: what was accepted is there once and whole, what was refused is not there.

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Client, delivered, follow, MAIN } from './fixtures/command.ts'
import { buildFaultShim } from './fixtures/fault-shim.ts'

const CHILD = join(import.meta.dirname, 'fixtures', 'fault-child.js')
const MESSAGES = 60

const shim = buildFaultShim(t.testdir())
const skip = shim === null ? 'there is no C compiler to build the fault shim with' : false

interface Attempts {
  readonly accepted: readonly string[]
  readonly refusals: readonly string[]
  /** Calls that failed, by rule. */
  readonly failed: readonly number[]
}

/** Has a child deliver to a Maildir while calls fail by these rules. */
async function deliver(maildir: string, faults: string, attempts: number): Promise<Attempts> {
  const args = [CHILD, maildir, '0', String(MESSAGES), String(attempts)]
  const env = { ...process.env, FAULTS: faults, LD_PRELOAD: shim ?? '' }
  const { stdout, stderr, code } = await follow(spawn(process.execPath, args, { env })).ended
  if (code !== 0) throw new Error(stderr)
  const lines = stdout.trimEnd().split('\n')
  const accepted = lines.filter(line => line.endsWith(' accepted')).map(line => line.split(' ', 1)[0]!)
  const refusals = lines.filter(line => !line.endsWith(' accepted'))
  const failed = [...stderr.matchAll(/^fault-shim: .* failed (\d+)$/gm)].map(([, count]) => Number(count))
  return { accepted, refusals, failed }
}

/** The keys of the messages in new/, each as often as it is there. A message that is not whole has the key "cut". */
function stored(maildir: string): string[] {
  return readdirSync(join(maildir, 'new'))
    .map(name => {
      const text = readFileSync(join(maildir, 'new', name), 'latin1')
      const key = /^key-(\d+)-\n/.exec(text)?.[1]
      const whole = text.length === `key-${key}-\n`.length + 4 + (1 + (Number(key) % 5)) * 5009
      return whole && text.endsWith('\nend\n') ? key! : 'cut'
    })
    .toSorted()
}

/** Faults of one kind; whether they have to refuse messages, or must not. */
const FAULTS: readonly (readonly [string, 'refuses' | 'refuses nothing'])[] = [
  ['link mail/new/ EEXIST after 3', 'refuses nothing'],
  ['link mail/new/ EIO after 2', 'refuses nothing'],
  ['link mail/new/ ESTALE after 1', 'refuses nothing'],
  ['link mail/new/ EIO 3', 'refuses'],
  ['link mail/new/ ENOSPC 3', 'refuses'],
  ['unlink mail/tmp/ EIO 1', 'refuses nothing'],
  ['unlink mail/tmp/ EIO after 1', 'refuses nothing'],
  ['fsync mail/new EIO 5', 'refuses'],
  ['fsync mail/new EINVAL 1', 'refuses nothing'],
  ['fsync mail/new EIO 3;unlink mail/new/ EIO 4', 'refuses'],
  ['fsync mail/new EIO 3;unlink mail/new/ EIO after 1', 'refuses'],
  ['fsync mail/tmp/ EIO 4', 'refuses'],
  ['write mail/tmp/ short 1', 'refuses nothing'],
  ['write mail/tmp/ ENOSPC 11', 'refuses'],
  ['write mail/tmp/ EDQUOT 11', 'refuses'],
  ['write mail/tmp/ EIO after 11', 'refuses'],
  ['close mail/tmp/ EIO 5', 'refuses'],
  ['close mail/tmp/ ENOSPC 5', 'refuses'],
  ['open mail/tmp/ EMFILE 4', 'refuses'],
  ['open mail/tmp/ EIO after 4', 'refuses'],
  ['open mail/new EMFILE 6', 'refuses'],
  ['close mail/new EIO 2', 'refuses nothing'],
  [
    'open mail/tmp/ EIO after 23;write mail/tmp/ short 2;write mail/tmp/ ENOSPC 31;fsync mail/tmp/ EIO 19;close mail/tmp/ EIO 17;' +
      'link mail/new/ EEXIST after 3;link mail/new/ EIO 13;fsync mail/new EIO 7;unlink mail/new/ EIO 2;unlink mail/tmp/ EIO 2',
    'refuses',
  ],
]

t.jobs = 4 // each waits for the disk most of the time
for (const [faults, effect] of FAULTS) {
  t.test(faults.slice(0, 60), { skip, buffered: true }, async t => {
    const maildir = join(t.testdir(), 'mail')
    const { accepted, refusals, failed } = await deliver(maildir, faults, 100)
    t.ok(
      failed.every(count => count > 0),
      `each rule applied: ${failed.join()}`,
    )
    t.equal(accepted.length, MESSAGES, 'a client that tries again gets each message accepted')
    t.strictSame(stored(maildir), accepted.toSorted(), 'in new/ is each message once and whole')
    if (effect === 'refuses') t.not(refusals.length, 0)
    else t.strictSame(refusals, [])
    const full = /^\d+ \d+ (?:ENOSPC|EDQUOT): /
    for (const line of refusals) t.match(line, full.test(line) ? /^\d+ 452 / : /^\d+ 451 /)
  })
}

t.test(
  'a file system that becomes read-only between link and fsync: all is refused, and says what stays',
  { skip },
  async t => {
    const maildir = join(t.testdir(), 'mail')
    const { accepted, refusals } = await deliver(maildir, 'fsync mail/new EROFS 1;unlink mail/new/ EROFS 1', 1)
    t.equal(accepted.length, 0)
    t.equal(refusals.length, MESSAGES)
    for (const line of refusals) t.match(line, /^\d+ 451 EROFS: .*; .*\/new\/.* was refused and cannot be removed$/)
  },
)

t.test(
  'the command: link() that succeeds and reports an error is a 250, not a 451 and a second copy',
  { skip },
  async t => {
    const folder = t.testdir()
    writeFileSync(join(folder, 'm.toml'), '[[listen]]\naddress = "127.0.0.1:0"\n')
    const env = { ...process.env, FAULTS: 'link Maildir/new/ EEXIST after 3', LD_PRELOAD: shim ?? '' }
    const server = follow(
      spawn(process.execPath, [MAIN, 'serve', '-c', 'm.toml'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] }),
    )
    t.teardown(() => server.child.kill('SIGKILL'))
    const client = new Client(await server.port)
    await client.reply()
    await client.say('EHLO client.example')
    let accepted = 0
    for (let i = 0; i < 90; i++) if ((await client.send('hello')).startsWith('250 ')) accepted += 1
    client.socket.destroy()
    server.child.kill('SIGTERM')
    await server.ended
    t.match(server.said(), /^fault-shim: link Maildir\/new\/ failed 30$/m)
    t.equal(accepted, 90)
    t.equal(delivered(join(folder, 'Maildir')).length, 90)
  },
)
