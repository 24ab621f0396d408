// Whatever a client sends: an identity, null, or the one error, which says nothing of what was sent.

import { readFile, readdir } from 'node:fs/promises'
import fc from 'fast-check'
import t from 'tap'
import { cramMd5 } from '../lib/smtp/auth/cram-md5.ts'
import { NOTHING_SHOWN, type Mechanism } from '../lib/smtp/auth/mechanism.ts'
import { oauthbearer, xoauth2 } from '../lib/smtp/auth/oauth.ts'
import { login, plain } from '../lib/smtp/auth/password.ts'
import { scramSha256 } from '../lib/smtp/auth/scram.ts'
import { SmtpError } from '../lib/words/smtp-error.ts'
import { Cancelled, MALFORMED, script } from './fixtures/exchange.ts'

const mechanisms: Mechanism[] = [
  plain(),
  login(),
  xoauth2(),
  oauthbearer(),
  scramSha256({ lookup: () => null }),
  cramMd5({ lookup: () => null, hostname: 'mx.example.org' }),
]

// words that lead far into each mechanism, and what breaks them
const WORDS = [
  '\0',
  '\x01',
  ',',
  '=',
  ' ',
  'n,,',
  'y,,',
  'p=x,,',
  'n,a=x,',
  'n=user',
  'r=abc',
  'c=biws',
  'p=AAAA',
  'm=x',
  'x=y',
  'user=x',
  'auth=Bearer x',
  'auth=',
  'port=1',
  'host=x',
  '=2C',
  '=3D',
  'tim',
  'b913a602c7eda7a495b4e6e7334d3890',
  'é',
  '\u00ad',
  '\u0627',
  '\ud800',
  'x'.repeat(300),
]

const message = fc.oneof(
  fc.uint8Array({ maxLength: 64 }).map(octets => Buffer.from(octets)),
  fc.array(fc.constantFrom(...WORDS), { maxLength: 8 }).map(words => Buffer.from(words.join(''))),
  fc.array(fc.constantFrom(...WORDS), { maxLength: 8 }).map(words => Buffer.from(words.join(','))),
  fc.array(fc.constantFrom(...WORDS), { maxLength: 8 }).map(words => Buffer.from(`${words.join('\x01')}\x01\x01`)),
)

for (const mechanism of mechanisms) {
  t.test(`${mechanism.name} and garbage`, async t => {
    t.match(mechanism.name, /^[A-Z\d_-]{1,20}$/)
    await fc.assert(
      fc.asyncProperty(
        fc.option(message),
        fc.array(message, { maxLength: 3 }),
        fc.boolean(),
        async (initial, answers, verdict) => {
          const exchange = script(initial, answers, verdict)
          try {
            const result = await mechanism.authenticate(exchange)
            return result === null || (verdict && exchange.seen.length === 1)
          } catch (error) {
            if (error instanceof SmtpError && error.reply === NOTHING_SHOWN) return exchange.seen.length === 0
            return error instanceof Cancelled || (error instanceof SmtpError && MALFORMED.test(error.message))
          }
        },
      ),
      { numRuns: 300 },
    )
  })
}

t.test('printable ASCII loads no tables', async t => {
  const { execFile } = await import('node:child_process')
  const { promisify } = await import('node:util')
  const url = new URL('../lib/sasl/saslprep.js', import.meta.url).href
  /** The modules that V8 says were run. */
  const loadedFor = async (text: string): Promise<string> => {
    const folder = t.testdir({ [text]: {} }) + `/${text}`
    const code = `const { saslprep } = await import('${url}'); await saslprep('${text}')`
    const program = ['-i', `NODE_V8_COVERAGE=${folder}`, process.execPath, '--input-type=module', '-e', code]
    await promisify(execFile)('env', program)
    const files = await readdir(folder)
    return (await Promise.all(files.map(name => readFile(`${folder}/${name}`, 'utf8')))).join()
  }
  t.match(await loadedFor('user'), 'saslprep.js')
  t.notMatch(await loadedFor('user'), 'stringprep')
  t.match(await loadedFor('é'), 'stringprep-tables.js')
})

t.test('no stream, socket, timer or log in here', async t => {
  const folder = new URL('../lib/smtp/auth/', import.meta.url)
  for (const name of (await readdir(folder)).filter(name => name.endsWith('.js'))) {
    const source = await readFile(new URL(name, folder), 'utf8')
    const imports = [...source.matchAll(/from '([^.'][^']*)'/g)].map(([, from]) => from ?? '')
    for (const from of imports)
      t.ok(['node:crypto', 'node:buffer', 'node:os', 'node:util'].includes(from), `${name}: ${from}`)
  }
})
