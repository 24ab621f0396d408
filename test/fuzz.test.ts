// `npm run fuzz`: the cases that failed once, a few new ones, and that it finds what is wrong.

import { spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { SmtpClient } from '../lib/client.ts'
import type { SmtpClient as Client } from '../lib/client.ts'
import { reply, SmtpHandler, type Delivery, type Mechanism, type SmtpHandlerOptions } from '../lib/index.ts'
import { makeCertificate } from './fixtures/certificate.ts'
import { ROOT } from './fixtures/repository.ts'

type Case = Readonly<Record<string, unknown>>
interface Context {
  readonly lib: Readonly<Record<string, unknown>>
  readonly tls: Readonly<Record<'key' | 'cert', Buffer>>
  readonly oracle: 'model' | 'same'
}
type Make = (random: Random, kind?: string | { readonly mechanisms: readonly string[] }) => Case
interface Random {
  whole(from: number, to: number): number
}

const load = async <T>(file: string): Promise<T> => (await import(pathToFileURL(join(ROOT, file)).href)) as T
const { loadLibrary } = await load<{ loadLibrary: (folder: string) => Promise<Context['lib']> }>('fuzz/library.js')
const { runCase } = await load<{ runCase: (context: Context, given: Case) => Promise<string | null> }>(
  'fuzz/run-case.js',
)
const { readCorpus } = await load<{ readCorpus: () => readonly { name: string; case: Case }[] }>('fuzz/corpus.js')
const { makeCase } = await load<{ makeCase: Make }>('fuzz/cases.js')
const { makeMails } = await load<{ makeMails: Make }>('fuzz/mails.js')
const { Random } = await load<{ Random: new (seed: number) => Random }>('scripts/soak/random.js')
const { key, cert } = makeCertificate(t.testdir())
const tls = { key, cert }
const lib = await loadLibrary(join(ROOT, 'dist/lib'))

t.test('what failed once', async t => {
  for (const { name, case: given } of readCorpus()) {
    for (const how of ['memory', 'socket']) {
      for (const oracle of ['model', 'same'] as const) {
        t.equal(await runCase({ lib, tls, oracle }, { ...given, how }), null, `${name}, ${how}, ${oracle}`)
      }
    }
  }
})

/** The first problem in so many cases with something else in the place of the library's own; null if there is none. */
async function search(
  changed: Readonly<Record<string, unknown>>,
  cases: number,
  mechanisms?: readonly string[],
): Promise<string | null> {
  const random = new Random(14)
  for (let i = 0; i < cases; i++) {
    const given = { ...makeCase(random, mechanisms && { mechanisms }), how: 'memory' }
    const problem = await runCase({ lib: { ...lib, ...changed }, tls, oracle: 'model' }, given)
    if (problem !== null) return problem
  }
  return null
}

t.test('a few cases', async t => {
  t.equal(await search({}, 30), null)
})

t.test('a few cases of mails, through the client and the relay', async t => {
  const random = new Random(14)
  for (const kind of ['client', 'relay']) {
    for (let i = 0; i < 10; i++) t.equal(await runCase({ lib, tls, oracle: 'model' }, makeMails(random, kind)), null)
  }
})

t.test('it finds what is wrong', async t => {
  class Chatty extends SmtpHandler {
    override handleNoop() {
      return reply(251, '2.0.0', 'OK')
    }
  }
  class Lax extends SmtpHandler {
    constructor(options: SmtpHandlerOptions) {
      super({ ...options, bareNewline: 'allow' })
    }
  }
  class Silent extends SmtpHandler {
    override handleDisconnect() {}
  }
  class Late extends SmtpHandler {
    constructor(options: SmtpHandlerOptions) {
      super({ ...options, unlawfulPipelining: 'allow' })
    }
  }
  class Undead extends SmtpHandler {
    override destroy(error?: Error) {
      setImmediate(() => super.destroy(error))
      return this
    }
  }
  t.match(await search({ SmtpHandler: Chatty }, 500), /251 for NOOP/)
  t.match(await search({ SmtpHandler: Lax }, 500), /./)
  t.match(await search({ SmtpHandler: Silent }, 500), /onClose was called/)
  t.match(await search({ SmtpHandler: Late }, 500), /not 503|a reply too many/)
  t.match(await search({ SmtpHandler: Undead }, 500), /a reply after the handler was destroyed|not 0/)
})

/** Sends mail data to recipients at the upstream of a case. */
type Send = (recipients: readonly string[], data: Buffer) => Promise<void>

/** What stands in the place of a relay: it takes a message whole, and does with it what it likes before its 250. */
function carelessRelay(onward: (send: Send, recipients: readonly string[], data: Buffer) => Promise<void>) {
  return ({ port, lmtp }: { readonly port: number; readonly lmtp: boolean }): Delivery => {
    const send: Send = async (recipients, data) => {
      const socket = connect(port, '127.0.0.1')
      const client = new SmtpClient({ name: 'r.example', lmtp, tls: { mode: 'never' } })
      socket.pipe(client).pipe(socket)
      void client.mail('a@a.example')
      for (const recipient of recipients) void client.rcpt(recipient)
      await client.data(data)
      await client.quit()
    }
    return {
      needsLines: true,
      async onMessage(message, { envelope }) {
        const recipients = envelope.recipients.map(({ address }) => address)
        await onward(send, recipients, Buffer.concat(await message.toArray()))
        return reply(250, '2.0.0', 'OK')
      },
    }
  }
}

t.test('it finds a relay that loses, doubles, cuts or mixes mail', async t => {
  const before: string[] = []
  const careless: Record<string, readonly [ReturnType<typeof carelessRelay>, RegExp | null]> = {
    careful: [carelessRelay((send, recipients, data) => send(recipients, data)), null],
    loses: [carelessRelay(async () => {}), /did not take it/],
    doubles: [
      carelessRelay(async (send, recipients, data) => {
        await send(recipients, data)
        await send(recipients, data)
      }),
      /has it twice/,
    ],
    cuts: [
      carelessRelay((send, recipients, data) => send(recipients, data.subarray(0, data.length >> 1))),
      /what was not sent|of another/,
    ],
    forgets: [carelessRelay((send, recipients, data) => send(recipients.slice(0, 1), data)), /not sent to/],
    mixes: [
      carelessRelay(async (send, recipients, data) => {
        await send([...before, ...recipients], data)
        before.push(...recipients)
      }),
      /two envelopes in one/,
    ],
  }
  for (const [name, [relay, expected]] of Object.entries(careless)) {
    const changed = { ...lib, client: { ...(lib['client'] as object), relay } }
    const random = new Random(14)
    let problem: string | null = null
    for (let i = 0; i < 20 && problem === null; i++) {
      before.length = 0
      const given = makeMails(random, 'relay') as Case & { readonly upstream: object }
      const upstream = { ...given.upstream, bends: {} }
      problem = await runCase({ lib: changed, tls, oracle: 'model' }, { ...given, upstream })
    }
    if (expected === null) t.equal(problem, null, name)
    else t.match(problem, expected, name)
  }
})

t.test('it finds a client that rejects with anything, and a handler that goes on behind its end', async t => {
  const { SmtpClient } = lib['client'] as { SmtpClient: typeof Client }
  class Odd extends SmtpClient {
    override rcpt(...values: Parameters<Client['rcpt']>): ReturnType<Client['rcpt']> {
      return super.rcpt(...values).catch(() => {
        throw new TypeError('odd')
      })
    }
  }
  class Undead extends SmtpHandler {
    override destroy(error?: Error) {
      setImmediate(() => super.destroy(error))
      return this
    }
  }
  const wrong: readonly [object, RegExp][] = [
    [{ client: { ...(lib['client'] as object), SmtpClient: Odd } }, /no SmtpClientError: TypeError: odd/],
    [{ SmtpHandler: Undead }, /handler was destroyed|was told|does not close/],
  ]
  for (const [changed, expected] of wrong) {
    const random = new Random(14)
    let problem: string | null = null
    for (let i = 0; i < 100 && problem === null; i++) {
      problem = await runCase({ lib: { ...lib, ...changed }, tls, oracle: 'model' }, makeMails(random, 'client'))
    }
    t.match(problem, expected)
  }
})

t.test('it finds a mechanism that lets everybody in', async t => {
  const own = lib['mechanisms'] as Readonly<Record<string, Mechanism>>
  for (const [name, mechanism] of Object.entries(own)) {
    const authenticate: Mechanism['authenticate'] = async exchange =>
      (await mechanism.authenticate(exchange)) ?? { user: 'ok', authzid: '' }
    const mechanisms = { ...own, [name]: { name, authenticate } }
    t.match(await search({ mechanisms }, 200, [name]), /235 for AUTH/, name)
  }
})

t.test('the command', async t => {
  const { stdout, status } = spawnSync(
    process.execPath,
    ['fuzz/run.js', '--seconds', '1', '--seed', '3', '--coverage', '--keep', t.testdir()],
    {
      cwd: ROOT,
      encoding: 'utf8',
    },
  )
  t.equal(status, 0, stdout)
  t.match(stdout, /^seed 3, 1 s\n\d+ cases .*nothing found\n/)
  t.match(stdout, /^smtp\/smtp-handler\.js +\d+\.\d % of +\d+ lines, +\d+\.\d % of +\d+ functions$/m)
  t.match(stdout, /^all .*\n$/m)
})
