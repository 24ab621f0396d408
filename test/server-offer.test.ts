import fc from 'fast-check'
import t from 'tap'
import { noOffer, parseOffer } from '../lib/protocol/replies/server-offer.ts'
import { character } from './fixtures/character.ts'

t.test('an offer', async t => {
  const offer = parseOffer([
    'mx.example Hello client.example [192.0.2.1]',
    'PIPELINING',
    'size 52428800',
    'AUTH PLAIN login',
    'AUTH=LOGIN CRAM-MD5',
    'LIMITS RCPTMAX=100 mailmax=5 RCPTDOMAINMAX=x FOO N=1 _X=1 Y=10k',
    '8BITMIME  ',
    'XCLIENT NAME ADDR',
    'X-Odd a=b',
    'Q',
    '',
    ' ',
    '=',
    '-X',
    'X_Y',
    'é',
    'XAUTH=OTHER',
  ])
  t.equal(offer.name, 'mx.example')
  t.equal(offer.esmtp, true)
  t.equal(offer.size, 52_428_800)
  t.strictSame(offer.auth, ['PLAIN', 'LOGIN', 'CRAM-MD5'])
  t.strictSame(
    [...offer.limits],
    [
      ['RCPTMAX', 100],
      ['MAILMAX', 5],
      ['N', 1],
    ],
  )
  t.strictSame(
    [...offer.extensions.keys()],
    ['PIPELINING', 'SIZE', 'AUTH', 'LIMITS', '8BITMIME', 'XCLIENT', 'X-ODD', 'Q'],
  )
  t.strictSame(offer.extensions.get('XCLIENT'), ['NAME', 'ADDR'])
  t.strictSame(offer.extensions.get('8BITMIME'), [])
})

t.test('AUTH=, as servers wrote it for old clients', async t => {
  t.strictSame(parseOffer(['mx', 'auth=login']).auth, ['LOGIN'])
  t.strictSame(parseOffer(['mx', 'AUTH=']).extensions.get('AUTH'), [], 'AUTH without a mechanism')
  t.strictSame(parseOffer(['mx', 'AUTH=LOGIN\u2028']).auth, [])
})

t.test('a reply without text has no name', async t => {
  t.equal(parseOffer(['']).name, '')
  t.equal(parseOffer([]).name, '')
})

t.test('the size', async t => {
  const sizes: [string, number | null][] = [
    ['SIZE', null],
    ['SIZE 0', null],
    ['SIZE 1', 1],
    ['SIZE 99999999999999999999', 1e20],
    ['SIZE 1e3', null],
    ['SIZE -1', null],
    ['SIZE x', null],
  ]
  for (const [line, size] of sizes) t.equal(parseOffer(['mx', line]).size, size, line)
})

t.test('after HELO there is none', async t => {
  const offer = noOffer(['mx.example Hello', 'SIZE 1'])
  t.match(offer, { name: 'mx.example', esmtp: false, size: null, auth: [] })
  t.equal(offer.extensions.size + offer.limits.size, 0)
})

t.test('any lines: never a throw, keywords by the grammar alone', async () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: character })), lines =>
      [...parseOffer(lines).extensions.keys()].every(keyword => /^[A-Z0-9][A-Z0-9-]*$/.test(keyword)),
    ),
  )
})
