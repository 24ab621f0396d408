import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { digester, DIGEST_OCTETS, domainOf, saltFile, shown } from '../lib/stores/keys.ts'

const SALT = 'a salt for the tests only'

t.test('digests depend on the salt and on every part of the key', t => {
  const keys = digester(SALT)
  t.equal(keys.key('net:192.0.2.0/24').length, DIGEST_OCTETS)
  t.equal(keys.key('net:192.0.2.0/24'), digester(Buffer.from(SALT)).key('net:192.0.2.0/24'))
  const all = [
    keys.key('a'),
    digester(`${SALT}!`).key('a'),
    keys.key('b'),
    keys.pair('a', 'b'),
    keys.pair('ab', ''),
    keys.pair('', 'ab'),
    keys.pair('b', 'a'),
    keys.key('1 ab'),
  ]
  t.equal(new Set(all).size, all.length)
  t.throws(() => digester('15 octets only!'), { code: 'ERR_OPTION' })
  t.end()
})

t.test('a salt file is created once, for its owner alone', t => {
  const folder = t.testdir()
  const file = join(folder, 'salt')
  const salt = saltFile(file)
  t.match(salt, /^[0-9a-f]{64}$/)
  t.equal(saltFile(file), salt)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.strictSame(readdirSync(folder), ['salt'], 'nothing else is left')
  t.equal(readFileSync(file, 'utf8'), `${salt}\n`)
  t.end()
})

t.test('a salt file that is too short or cannot be made is an error', t => {
  const folder = t.testdir({ short: 'abc\n' })
  t.throws(() => saltFile(join(folder, 'short')), { code: 'ERR_OPTION' })
  t.throws(() => saltFile(join(folder, 'missing', 'salt')), { code: 'ENOENT' })
  mkdirSync(join(folder, 'folder'))
  t.throws(() => saltFile(join(folder, 'folder')), { code: 'EISDIR' })
  writeFileSync(join(folder, 'given'), 'x'.repeat(40))
  chmodSync(join(folder, 'given'), 0o400)
  t.equal(saltFile(join(folder, 'given')), 'x'.repeat(40), 'one that the administrator wrote is taken as it is')
  t.end()
})

t.test('what is kept in clear: no controls, never long, the domain of a sender only', t => {
  t.equal(shown('net:192.0.2.0/24'), 'net:192.0.2.0/24')
  t.equal(shown('a\tb\nc'), 'a\\x09b\\x0ac')
  t.ok(shown('x'.repeat(5000)).length <= 100)
  t.equal(domainOf('user@example.org'), 'example.org')
  t.equal(domainOf('"a@b"@example.org'), 'example.org')
  t.equal(domainOf(''), '')
  t.end()
})
