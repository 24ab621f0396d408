// Whose mail is accepted.

import t from 'tap'
import { allowRecipients } from '../lib/policies/allow-recipients.ts'
import { parseForwardPath } from '../lib/protocol/addresses/path.ts'

const policy = allowRecipients(['example.org', '.below.example', 'Anna@one.example', '[192.0.2.1]', 'bücher.example'])

/** The code that a recipient is refused with; 250 where he is not. */
function code(path: string): number {
  const parsed = parseForwardPath(`TO:${path}`, { utf8: true, strictness: 'strict' })
  if (!parsed.ok) throw new Error(`${path}: ${parsed.error.problem}`)
  return policy.onRcptTo(parsed.mailbox)?.code ?? 250
}

t.test('domains, those below them, literals and single mailboxes', t => {
  const table: [string, number][] = [
    ['<joe@example.org>', 250],
    ['<joe@EXAMPLE.org>', 250],
    ['<joe@sub.example.org>', 550],
    ['<joe@example.com>', 550],
    ['<joe@notexample.org>', 550],
    ['<joe@a.below.example>', 250],
    ['<joe@a.b.below.example>', 250],
    ['<joe@below.example>', 550],
    ['<joe@xbelow.example>', 550],
    ['<Anna@one.example>', 250],
    ['<"Anna"@ONE.example>', 250],
    ['<anna@one.example>', 550],
    ['<bob@one.example>', 550],
    ['<joe@[192.0.2.1]>', 250],
    ['<joe@[192.0.2.2]>', 550],
    ['<joe@bücher.example>', 250],
    ['<joe@xn--bcher-kva.example>', 250],
    ['<"joe@example.org"@example.com>', 550],
  ]
  for (const [path, expected] of table) t.equal(code(path), expected, path)
  t.end()
})

t.test('Postmaster, without a domain and in each that is served [RFC 5321 §4.5.1]', t => {
  for (const path of [
    '<Postmaster>',
    '<postmaster@example.org>',
    '<POSTMASTER@one.example>',
    '<postmaster@x.below.example>',
  ]) {
    t.equal(code(path), 250, path)
  }
  t.equal(code('<postmaster@example.com>'), 550)
  t.end()
})

t.test('an empty list leaves Postmaster; an entry that is none is an error', t => {
  t.equal(
    allowRecipients([]).onRcptTo({ address: 'a@b.c', localPart: 'a', domain: 'b.c', literal: null, nonAscii: false })
      ?.code,
    550,
  )
  for (const bad of ['', '.', 'a b', '@', 'a@', '@b', '[300.1.1.1]', '.[192.0.2.1]', 'a..b', '*']) {
    t.throws(() => allowRecipients([bad]), { code: 'ERR_OPTION' }, bad)
  }
  t.end()
})
