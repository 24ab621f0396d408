// The search of `mailhandler catch`: what it looks at, what its words mean, and that it lets others run.

import t from 'tap'
import type { MailEntry } from '../lib/cli/catch/entry.ts'
import { SearchIndex } from '../lib/cli/catch/search-index.ts'
import { readQuery } from '../lib/cli/catch/search-query.ts'
import { SEARCHED, searchText, textOfHtml } from '../lib/cli/catch/search-text.ts'
import { loadParser } from '../lib/testing/catch/parse-mail.ts'
import type { ParsedMail } from '../lib/testing/catch/parsed-mail.ts'

const parse = await loadParser('the test')

t.test('words, phrases, fields, and what must not be there', t => {
  const term = (text: string, field: string | null = null, isExcluded = false) => ({ text, field, isExcluded })
  const queries: [string, object[]][] = [
    ['', []],
    ['  Bob  APPLES ', [term('bob'), term('apples')]],
    ['"Reset  your password" now', [term('reset your password'), term('now')]],
    [
      'to:Anna@x subject:"A b" -from:bob !x',
      [term('anna@x', 'to'), term('a b', 'subject'), term('bob', 'from', true), term('x', null, true)],
    ],
    ['https://example.org/?t=1 other:x', [term('https://example.org/?t=1'), term('other:x')]],
    ['other:"a b"', [term('other:a b')]],
    ['message-id:1@x CC:c', [term('1@x', 'message-id'), term('c', 'cc')]],
    ['"open', [term('open')]],
    ['to: x ""', [term('to:'), term('x')]],
    ['A\u0308', [term('ä')]],
  ]
  for (const [query, terms] of queries) t.strictSame(readQuery(query), terms, query)
  t.equal(readQuery('x'.repeat(300))[0]?.text.length, 200)
  t.end()
})

t.test('the text of HTML', t => {
  const texts: [string, string][] = [
    ['Wel<b>come</b><p>Anna<br>Bob', 'Welcome Anna Bob'],
    ['<style>p { color: red }</style>a<SCRIPT>x<y</Script >b<styled>c', 'a b c'],
    ['<a href="https://x.example/?a=1&amp;b=2">Confirm</a>', 'https://x.example/?a=1&b=2 Confirm'],
    [`<img alt='A picture' src=x title="T">`, 'A picture T'],
    ['a &lt;b&gt; &#228;&#xE4;&nbsp;&quot;&apos;&#0;&#9999999;&none;', `a <b> ää "'&#0;&#9999999;&none;`],
    ['a<!-- <b>no</b> -->b<!-- open', 'ab'],
    ['a<b', 'a'],
    ['a<style>b', 'a'],
  ]
  for (const [html, text] of texts) t.equal(textOfHtml(html).replaceAll(/\s+/g, ' ').trim(), text, html)
  const hostile = ['<', '<style>', '<a href="', "<a href='", '<!--', '&#', '<a\thref=', '</', '<script ']
  for (const piece of hostile) {
    const html = piece.repeat(Math.ceil(524_288 / piece.length))
    const began = performance.now()
    textOfHtml(html)
    t.ok(performance.now() - began < 2000, `half a MiB of ${piece}: ${performance.now() - began} ms`)
  }
  t.end()
})

const raw = (header: string, body: string): Buffer => Buffer.from(`${header}\r\n\r\n${body}`)

t.test('all parts of a message, decoded, up to a limit', async t => {
  const mail = await parse(
    raw(
      'From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nX-Ticket: 4711\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x',
      [
        '--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n',
        Buffer.from('Grüße\naus Köln').toString('base64'),
        '--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=48ello <i>th</i>ere',
        '--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="Invoice 7.pdf"\r\n\r\nx\r\n--x--',
      ].join('\r\n'),
    ),
  )
  const text = searchText(mail)
  for (const part of ['jürgen <j@example.org>', 'x-ticket: 4711', 'grüße aus köln', 'hello there', 'invoice 7.pdf']) {
    t.match(text, part)
  }
  const long = (letter: string, count: number): string => `${letter.repeat(count)} ${letter}end`
  const large: ParsedMail = {
    ...mail,
    headers: [
      { name: 'X', value: 'h'.repeat(10_000) },
      { name: 'Y', value: long('h', 10_000) },
      { name: 'Z', value: 'z' },
    ],
    text: long('t', SEARCHED.text),
    html: `<style>${'s'.repeat(1000)}</style>${long('b', SEARCHED.html)}`,
    attachments: [
      { ...mail.attachments[0]!, filename: long('n', SEARCHED.names) },
      { ...mail.attachments[0]!, filename: null },
    ],
  }
  const cut = searchText(large)
  for (const end of ['hend', 'tend', 'bend', 'nend', 'z: z']) t.notMatch(cut, end)
  t.ok(cut.length <= SEARCHED.header + SEARCHED.text + SEARCHED.html + SEARCHED.names + 4)
  t.equal(searchText({ ...mail, text: null, html: null, headers: [], attachments: [] }), '')
})

function entryOf(id: string, more: Partial<MailEntry> = {}): MailEntry {
  return {
    id,
    receivedAt: '2026-01-01T00:00:00.000Z',
    envelope: { from: 'bob@example.org', to: [`${id}@example.org`] },
    from: { name: 'Bob', address: 'bob@example.org' },
    to: [],
    cc: [],
    subject: `Subject ${id}`,
    messageId: null,
    size: 1,
    attachments: 0,
    snippet: '',
    sessionId: 's',
    ...more,
  }
}

t.test('what fits', async t => {
  const index = new SearchIndex(async () => null)
  const entries = [
    entryOf('one', { cc: [{ name: 'Carl', address: 'carl@example.org' }], messageId: '<1@x>' }),
    entryOf('two', { from: null, to: [{ name: 'Anna', address: 'anna@example.org' }] }),
    entryOf('gone'),
  ]
  index.add('one', 'green apples reset your password')
  index.add('two', 'red apples')
  const found = async (query: string): Promise<string> =>
    (await index.search(entries, query)).map(({ id }) => id).join(' ')
  const searches: [string, string][] = [
    ['', 'one two gone'],
    ['apples', 'one two'],
    ['Apples RED', 'two'],
    ['"reset your"', 'one'],
    ['apples -red', 'one'],
    ['-apples', ''],
    ['-subject:one -two', ''],
    ['bob', 'one two gone'],
    ['-bob', ''],
    ['subject:two', 'two'],
    ['to:anna', 'two'],
    ['cc:carl', 'one'],
    ['from:"bob bob@"', 'one gone'],
    ['message-id:1@x apples', 'one'],
    ['to:one pears', ''],
  ]
  for (const [query, ids] of searches) t.equal(await found(query), ids, query)
})

t.test('what has no room is read again', async t => {
  const read: string[] = []
  const index = new SearchIndex(async id => {
    read.push(id)
    return id === 'lost' ? null : `again ${id}`
  }, 20)
  for (const id of ['a', 'b', 'c']) index.add(id, `12345678 ${id}`)
  t.equal(index.octets, 20, 'the oldest has made room')
  const entries = ['a', 'b', 'c', 'lost'].map(id => entryOf(id))
  t.strictSame(
    (await index.search(entries, 'again')).map(({ id }) => id),
    ['a'],
  )
  t.strictSame(read, ['a', 'lost'])
  index.remove('b')
  index.remove('none')
  t.equal(index.octets, 10)
  await index.search(entries, 'again')
  t.equal(index.octets, 17, 'there was room to keep it')
  read.length = 0
  await index.search(entries, 'again')
  t.strictSame(read, ['b', 'lost'])
})

t.test('a search that fails does not stop the next one', async t => {
  let fails = true
  const index = new SearchIndex(async () => {
    if (fails) throw new Error('the disk')
    return 'zebra'
  })
  await t.rejects(index.search([entryOf('a')], 'zebra'), { message: 'the disk' })
  fails = false
  t.equal((await index.search([entryOf('a')], 'zebra')).length, 1)
})

t.test('others run while it searches, and searches wait for each other', async t => {
  const busy = async (): Promise<string> => {
    const until = performance.now() + 1
    while (performance.now() < until);
    return 'text'
  }
  const index = new SearchIndex(busy, 1)
  const entries = Array.from({ length: 200 }, (_, i) => entryOf(`${i}`))
  let turns = 0
  let isOver = false
  const turn = (): void => {
    turns += 1
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  const order: number[] = []
  await Promise.all([1, 2].map(async i => (order.push(i), await index.search(entries, 'text'), order.push(i + 10))))
  isOver = true
  t.ok(turns > 40, `${turns} turns of the loop in 400 ms of work`)
  t.strictSame(order, [1, 2, 11, 12])
})
