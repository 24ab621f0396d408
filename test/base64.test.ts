import fc from 'fast-check'
import t from 'tap'
import { decodeBase64, decodeInitialResponse } from '../lib/words/base64.ts'

t.test('base64 is decoded', async t => {
  const table: [string, string][] = [
    ['', ''],
    ['Zg==', 'f'],
    ['Zm8=', 'fo'],
    ['Zm9v', 'foo'],
    ['Zm9vYg==', 'foob'],
    ['Zm9vYmE=', 'fooba'],
    ['Zm9vYmFy', 'foobar'], // [RFC 4648 §10]
    ['dGVzdAB0ZXN0ADEyMzQ=', 'test\0test\x001234'], // [RFC 4954 §4.1]
  ]
  for (const [text, expected] of table) t.equal(decodeBase64(text)?.toString(), expected, text)
})

t.test('garbage is not', async t => {
  const garbage = [
    '=',
    '==',
    '===',
    '====',
    'Z',
    'Zg',
    'Zg=',
    'Zg===',
    'Zm8',
    'Zm8==',
    'Zm9v=',
    'Zm9v====', // padding
    'Zh==',
    'Zm9=', // bits left over
    'Zg==Zg==',
    'Zg==\r\n',
    'Zm9v\n',
    ' Zm9v',
    'Zm9v ',
    'Zm 9v',
    'Zm9v\0',
    'Zm9v*',
    '*',
    '****', // around and between
    'Zm-_',
    '-_-_',
    'Zm9é',
    'Ｚｍ９ｖ',
    '\ud800\ud800\ud800\ud800', // other alphabets
  ]
  for (const text of garbage) t.equal(decodeBase64(text), null, JSON.stringify(text))
})

t.test('an initial response of = is empty, and an empty one is none', async t => {
  t.same(decodeInitialResponse('='), Buffer.alloc(0))
  t.equal(decodeInitialResponse(''), null)
  t.equal(decodeInitialResponse('=='), null)
  t.equal(decodeInitialResponse('Zm9v')?.toString(), 'foo')
})

t.test('any octets come back', async () => {
  fc.assert(
    fc.property(fc.uint8Array(), octets => {
      const buffer = Buffer.from(octets)
      return decodeBase64(buffer.toString('base64'))?.equals(buffer) ?? false
    }),
  )
})

t.test('what is decoded is the one encoding of its octets', async () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'AZaz09+/=-_ \n*') }), text => {
      const octets = decodeBase64(text)
      return octets === null || octets.toString('base64') === text
    }),
  )
})
