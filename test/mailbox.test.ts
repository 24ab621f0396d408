import fc from 'fast-check'
import t from 'tap'
import { quoteLocalPart, unquoteLocalPart } from '../lib/protocol/addresses/local-part.ts'
import { canonicalAddress, NULL_MAILBOX, parseMailbox } from '../lib/protocol/addresses/mailbox.ts'
import { parseForwardPath } from '../lib/protocol/addresses/path.ts'

const STRICT = { utf8: false, strictness: 'strict' } as const
const BOTH = { utf8: true, strictness: 'lenient' } as const

t.test('the whole text is one mailbox', async t => {
  t.match(parseMailbox('a@b.c', STRICT), { ok: true, mailbox: { address: 'a@b.c' } })
  t.match(parseMailbox('a@b.c ', STRICT), { ok: false, error: { part: 'domain', at: 5 } })
  t.match(parseMailbox('a@b.c>', STRICT), { ok: false, error: { part: 'domain', at: 5 } })
  t.match(parseMailbox('', STRICT), { ok: false, error: { part: 'local-part', at: 0 } })
})

t.test('two spellings of one mailbox compare equal', async t => {
  const same: [a: string, b: string][] = [
    ['"user"@Example.org', 'user@example.ORG'],
    ['"a\\b"@c', 'ab@c'],
    ['"a\\ b"@c', '"a b"@c'],
    ['a..b@c', '"a..b"@c'],
    ['u@Bücher.example', 'u@xn--bcher-kva.example'],
    ['u@[IPv6:2001:DB8::1]', 'u@[ipv6:2001:db8::1]'],
  ]
  for (const pair of same) {
    const [a, b] = pair.map(text => {
      const parsed = parseMailbox(text, BOTH)
      return parsed.ok ? canonicalAddress(parsed.mailbox) : parsed.error.problem
    })
    t.equal(a, b, pair.join(' '))
    t.match(a, /@/)
  }
  const postmaster = parseForwardPath('TO:<PostMaster>', STRICT)
  t.equal(postmaster.ok && canonicalAddress(postmaster.mailbox), 'postmaster')
  t.equal(canonicalAddress(NULL_MAILBOX), '')
  const upper = parseMailbox('User@c', STRICT)
  t.equal(upper.ok && canonicalAddress(upper.mailbox), 'User@c', 'the local part keeps its case')
  const quoted = parseMailbox('"jörg"@c', { ...BOTH, utf8: true })
  t.equal(quoted.ok && canonicalAddress(quoted.mailbox), 'jörg@c')
})

t.test('any name can be quoted and comes back', async () => {
  const printable = fc.string({
    unit: fc.integer({ min: 32, max: 126 }).map(c => String.fromCharCode(c)),
    maxLength: 30,
  })
  fc.assert(
    fc.property(printable, name => {
      const quoted = quoteLocalPart(name)
      const parsed = parseMailbox(`${quoted}@b.c`, STRICT)
      return parsed.ok && parsed.mailbox.localPart === quoted && unquoteLocalPart(quoted) === name
    }),
  )
})
