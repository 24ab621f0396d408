// Whatever stands at a key, it gives a value or a problem that names the key; nothing throws.

import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { Issue, Schema } from '../lib/cli/config/leaves.ts'
import { configSchema } from '../lib/cli/config/schema.ts'
import { tomlAdvice } from '../lib/cli/config/toml-advice.ts'
import { isLoopback, overlaps, readListenAddress, readUpstreamAddress, showAddress } from '../lib/cli/config/units.ts'

/** Values that somebody might write in the place of another. */
const VALUES: readonly unknown[] = [
  '',
  'text',
  '0',
  '10s',
  '50MiB',
  '192.0.2.7',
  'a@example.org',
  '*:25',
  'a\0b',
  'two\nlines',
  'ü',
  0,
  1,
  -1,
  1.5,
  Number.NaN,
  true,
  false,
  [],
  ['text'],
  [17],
  [['nested']],
  [{}],
  {},
  { unknown: 1 },
  null,
  new Date(0),
  2n ** 63n,
]

interface Leaf {
  readonly key: string
  readonly schema: Schema<unknown>
}

function leaves(schema: Schema<unknown>, key: string): Leaf[] {
  const own: Leaf[] = [{ key, schema }]
  if (schema.item !== undefined) return [...own, ...leaves(schema.item, `${key}[]`)]
  return [...own, ...Object.entries(schema.entries ?? {}).flatMap(([name, each]) => leaves(each, join(key, name)))]
}

const LEAVES = leaves(configSchema('/etc/mailhandler'), '')

t.test('every key with every kind of value', async t => {
  t.ok(LEAVES.length > 150, `${LEAVES.length} keys`)
  for (const { key, schema } of LEAVES) {
    for (const value of VALUES) {
      const issues: Issue[] = []
      const path = ['here']
      schema.read(value, path, issues)
      for (const { path: where, message } of issues) {
        if (where[0] !== 'here' || message === '') t.fail(`${key}: ${String(value)}: ${message}`)
      }
    }
    const accepts = VALUES.filter(value => {
      const issues: Issue[] = []
      schema.read(value, [], issues)
      return issues.length === 0
    })
    t.ok(accepts.length < VALUES.length, `${key} refuses something`)
  }
})

t.test('any value at any key', async t => {
  fc.assert(
    fc.property(fc.constantFrom(...LEAVES), fc.anything(), ({ schema }, value) => {
      schema.read(value, [], [])
    }),
  )
  t.pass()
})

t.test('addresses to listen at', async t => {
  for (const [text, host, port] of [
    ['127.0.0.1:25', '127.0.0.1', 25],
    ['[::1]:25', '::1', 25],
    ['*:25', '::', 25],
    ['mx.example.org:0', 'mx.example.org', 0],
  ] as const) {
    t.strictSame(readListenAddress(text), { host, port })
  }
  t.strictSame(readListenAddress('systemd:smtp'), { systemd: 'smtp' })
  for (const text of [25, '25', '127.0.0.1', '127.0.0.1:65536', '[127.0.0.1]:25', '1.2.3:25', '256.0.0.1:25', ':25']) {
    t.equal(readListenAddress(text), null, String(text))
  }
})

t.test('addresses of an upstream', async t => {
  t.strictSame(readUpstreamAddress('/run/lmtp'), { path: '/run/lmtp' })
  t.strictSame(readUpstreamAddress('mx.internal:25'), { host: 'mx.internal', port: 25 })
  for (const text of [25, '/a\0b', `/${'x'.repeat(107)}`, '*:25', 'systemd:smtp', 'mx.internal:0', 'mx.internal']) {
    t.equal(readUpstreamAddress(text), null, String(text))
  }
})

t.test('what two listeners may have together', async t => {
  const at = (text: string) => readListenAddress(text)!
  for (const [one, other, expected] of [
    ['127.0.0.1:25', '127.0.0.1:25', true],
    ['127.0.0.1:25', '127.0.0.1:26', false],
    ['127.0.0.1:0', '127.0.0.1:0', false],
    ['*:25', '127.0.0.1:25', true],
    ['0.0.0.0:25', '127.0.0.1:25', true],
    ['0.0.0.0:25', '[::1]:25', false],
    ['[::1]:25', '127.0.0.1:25', false],
    ['systemd:a', 'systemd:a', true],
    ['systemd:a', 'systemd:b', false],
    ['systemd:a', '127.0.0.1:25', false],
  ] as const) {
    t.equal(overlaps(at(one), at(other)), expected, `${one} and ${other}`)
    t.equal(overlaps(at(other), at(one)), expected, `${other} and ${one}`)
  }
})

t.test('who can connect', async t => {
  for (const [text, expected] of [
    ['127.1.2.3:25', true],
    ['localhost:25', true],
    ['[::1]:25', true],
    ['192.0.2.1:25', false],
    ['*:25', false],
    ['systemd:smtp', false],
  ] as const) {
    t.equal(isLoopback(readListenAddress(text)!), expected, text)
  }
  t.equal(showAddress('::1', 25), '[::1]:25')
  t.equal(showAddress('127.0.0.1', 25), '127.0.0.1:25')
})

t.test('a reason that is not known leads to the documentation', async t => {
  t.match(tomlAdvice('something new'), 'docs/configuration.md')
  t.match(tomlAdvice('unknown escape sequence'), 'backslash')
})
