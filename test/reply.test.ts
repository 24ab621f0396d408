// A reply is one reply: nothing in its text adds a line, and a line has its length.

import t from 'tap'
import { Reply, reply } from '../lib/index.ts'

t.test('no control character', async t => {
  for (const text of ['a\r\nb', 'a\rb', 'a\nb', 'a\0b', 'a\x1bb', 'a\x7fb']) {
    t.throws(() => reply(250, text), { code: 'ERR_REPLY' }, JSON.stringify(text))
    t.throws(() => reply(550, '5.7.1', 'good', text), { code: 'ERR_REPLY' })
    t.throws(() => new Reply(250, null, [text]), { code: 'ERR_REPLY' })
  }
  t.equal(String(reply(250, 'a\tb', 'ä')), '250-a\tb\r\n250 ä\r\n')
})

t.test('512 octets a line', async t => {
  t.equal(String(reply(250, 'x'.repeat(506))).length, 512)
  t.throws(() => reply(250, 'x'.repeat(507)), { code: 'ERR_REPLY' })
  t.throws(() => reply(250, '2.0.0', 'x'.repeat(501)), { code: 'ERR_REPLY' })
  t.throws(() => reply(250, 'ä'.repeat(254)), { code: 'ERR_REPLY' })
})
