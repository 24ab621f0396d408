// docs/troubleshooting.md has a row for each refusal that the package says, for each message of the command's log, and for
// each limit; the TSDoc of each limit has its default.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CLIENT_TIMEOUTS, REPLY_LIMITS } from '../lib/client.ts'
import { SUSPICION_WEIGHTS } from '../lib/greylist.ts'
import { GUESS_LIMITS, LIMITS, TIMEOUTS } from '../lib/index.ts'
import { RELAY_CIRCUIT, RELAY_POOL, RELAY_TIMEOUTS } from '../lib/relay.ts'
import { SERVER_LIMITS, SERVER_TIMEOUTS } from '../lib/server/index.ts'
import { WEBHOOK_TIMEOUTS } from '../lib/webhook.ts'
import { readText, ROOT } from './fixtures/repository.ts'

const document = readText('docs/troubleshooting.md')
const rows = [...document.matchAll(/^\| (.+?) \| (.+) \| (.+) \|$/gm)].map(([, first = '', ...rest]) => ({
  first,
  rest,
}))

/** The source files below a folder, without comments. */
function sources(folder: string, without: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !without.test(name))
    .map(name => readText(join(folder, name)).replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, ''))
}

/** The literals of a call, from behind its opening parenthesis on. */
function literals(code: string): string[] {
  let depth = 1
  const found: string[] = []
  for (const [token] of code.matchAll(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|[()]/g)) {
    if (token === '(') depth += 1
    else if (token === ')') depth -= 1
    else found.push(token.slice(1, -1))
    if (depth === 0) break
  }
  return found
}

/** What of a text comes before what is filled in. */
function fixed(text: string): string {
  return text.replace(/\$?\{[^]*$/, '').replace(/[:\s]+$/, '')
}

/** Replies whose code or text is made of parts. */
const BY_HAND = [
  'Bad recipient at',
  'Bad sender at',
  'takes no argument',
  'try again in …',
  'Greylisted',
  '` Please try',
]

t.test('refusals', t => {
  const said = new Set<string>()
  for (const code of sources('lib', /^(?:testing|client|web)\//)) {
    for (const match of code.matchAll(/\breply\(\s*([45]\d\d),/g)) {
      const [status = '', ...texts] = literals(code.slice(match.index + 'reply('.length))
      if (/^\d\.\d+\.\d+$/.test(status) && texts[0] !== undefined) said.add(`${match[1]} ${status}|${fixed(texts[0])}`)
    }
  }
  for (const [, text = ''] of readText('lib/policies/greylist/presets.ts').matchAll(/text: '(.+)'/g)) {
    said.add(`4|${fixed(text)}`)
  }
  t.ok(said.size > 80, `${said.size} refusals`)
  const missing = [...said].filter(each => {
    const [code = '', text = ''] = each.split('|')
    return !rows.some(({ first }) => first.startsWith(`\`${code}`) && first.includes(text))
  })
  t.strictSame(missing, [])
  for (const { first } of rows.filter(row => /^`[45]\d\d \d/.test(row.first))) {
    const [, code = ''] = /^`(\d{3} \d\.\d\.\d+)/.exec(first) ?? []
    const isSaid = [...said].some(each => each.startsWith(`${code}|`) && first.includes(each.split('|')[1]!))
    t.ok(isSaid || BY_HAND.some(text => first.includes(text)), `still said: ${first}`)
  }
  t.end()
})

t.test('messages of the log', t => {
  const said = new Set<string>()
  for (const code of sources('lib/cli', /^$/)) {
    for (const match of code.matchAll(/(?:\.(?:debug|info|warn|error|fatal)|'info'\])\(/g)) {
      const text = literals(code.slice(match.index + match[0].length)).at(-1)
      if (text !== undefined) said.add(text.replaceAll(/\$\{.*?\}/g, '…').trim())
    }
  }
  said.add('log lines dropped').add('… cannot be delivered to') // not in the call itself
  const named = new Set(rows.map(({ first }) => /^`([^`]+)`$/.exec(first)?.[1]))
  t.ok(said.size > 25, `${said.size} messages`)
  t.strictSame([...said].filter(text => !named.has(text)).toSorted(), [])
  const section = document.slice(document.indexOf('## By line of the log'), document.indexOf('## By what happens'))
  const listed = [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name!)
  t.strictSame(
    listed.filter(text => text !== 'msg' && !said.has(text)),
    [],
    'no row for what is not logged',
  )
  t.end()
})

const { perClient, ...serverLimits } = SERVER_LIMITS

/** Where each constant's members have their TSDoc. */
const DEFAULTS: readonly (readonly [file: string, type: string, values: object])[] = [
  ['lib/smtp/limits.ts', 'Limits', LIMITS],
  ['lib/smtp/limits.ts', 'Timeouts', TIMEOUTS],
  ['lib/smtp/auth/auth-guard.ts', 'GuessLimits', { ...GUESS_LIMITS, checks: 2 }], // 1 on a small machine
  ['lib/server/limits.ts', 'ServerLimits', { ...serverLimits, ...perClient }],
  ['lib/server/limits.ts', 'ServerTimeouts', SERVER_TIMEOUTS],
  ['lib/client/timeouts.ts', 'ClientTimeouts', CLIENT_TIMEOUTS],
  ['lib/client/reply-reader.ts', 'ReplyLimits', REPLY_LIMITS],
  ['lib/deliveries/relay/options.ts', 'RelayTimeouts', RELAY_TIMEOUTS],
  ['lib/deliveries/relay/options.ts', 'PoolLimits', RELAY_POOL],
  ['lib/deliveries/relay/options.ts', 'CircuitLimits', RELAY_CIRCUIT],
  ['lib/deliveries/webhook/options.ts', 'WebhookTimeouts', WEBHOOK_TIMEOUTS],
  ['lib/policies/suspicion/weights.ts', 'SuspicionWeights', SUSPICION_WEIGHTS],
]

t.test('the TSDoc of each limit has its default', t => {
  for (const [file, type, values] of DEFAULTS) {
    const source = readText(file)
    const from = source.search(new RegExp(`^export interface ${type}\\b`, 'm'))
    const body = source.slice(from, source.indexOf('\n}\n', from))
    for (const [name, value] of Object.entries(values) as [string, number][]) {
      const [, comment = ''] = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\n *readonly ${name}: number`).exec(body) ?? []
      const [, told = 'none'] = /@defaultValue ([\d.,]*\d|Infinity)/.exec(comment) ?? []
      t.equal(Number(told.replaceAll(',', '')), value, `${type}.${name}`)
    }
  }
  t.end()
})

t.test('limits and timeouts of a session', t => {
  const told = new Map(rows.map(({ first, rest }) => [first, rest[0]]))
  const show = (value: number): string => (value === Infinity ? 'none' : value.toLocaleString('en'))
  for (const [option, values] of Object.entries({ limits: LIMITS, timeouts: TIMEOUTS })) {
    for (const [name, value] of Object.entries(values)) t.equal(told.get(`\`${option}.${name}\``), show(value), name)
  }
  t.equal(told.get('`maxConnections`'), show(SERVER_LIMITS.maxConnections))
  for (const [name, value] of Object.entries(perClient)) t.equal(told.get(`\`perClient.${name}\``), show(value), name)
  for (const name of ['proxyHeader', 'shutdown'] as const) t.equal(told.get(`\`${name}\``), show(SERVER_TIMEOUTS[name]))
  t.end()
})
