// One sender, many addresses.

import fc from 'fast-check'
import t from 'tap'
import { foldRecipient, foldSender } from '../lib/policies/greylist/fold-sender.ts'
import { NULL_MAILBOX, parseMailbox } from '../lib/protocol/addresses/mailbox.ts'

function mailbox(address: string) {
  const parsed = parseMailbox(address, { utf8: true, strictness: 'lenient' })
  if (!parsed.ok) throw new Error(`${address}: ${parsed.error.problem}`)
  return parsed.mailbox
}
const fold = (address: string): string => foldSender(mailbox(address))

t.test('what a sender is folded to', t => {
  const table: [string, string, string][] = [
    ['case', 'Anna.Smith@Example.ORG', 'anna.smith@example.org'],
    ['quotes', '"anna"@example.org', 'anna@example.org'],
    ['U-labels', 'anna@bücher.example', 'anna@xn--bcher-kva.example'],
    ['extension', 'anna+shop@example.org', 'anna@example.org'],
    ['a leading plus is no extension', '+anna@example.org', '+anna@example.org'],
    ['BATV', 'prvs=1234abcdef=anna@example.org', 'anna@example.org'],
    ['BATV with the tag last', 'prvs=anna=1234abcdef@example.org', 'anna@example.org'],
    ['BATV of SparkPost', 'msprvs1=18443abcd=bounces-1@example.org', 'bounces-#@example.org'],
    ['BATV of Barracuda', 'btv1==123abc==anna@example.org', 'anna@example.org'],
    ['no BATV', 'prvs=anna@example.org', 'prvs=anna@example.org'],
    ['SRS0', 'SRS0=HHH=TT=example.net=anna@forward.example', 'srs0=example.net=anna@forward.example'],
    ['SRS0 with a plus', 'SRS0+HHH=TT=example.net=anna@forward.example', 'srs0=example.net=anna@forward.example'],
    [
      'SRS1',
      'SRS1=GGG=one.example==HHH=TT=example.net=anna@two.example',
      'srs1=one.example==example.net=anna@two.example',
    ],
    ['VERP', 'list-return-4711-bob=example.net@lists.example', 'list-return-#-#@lists.example'],
    ['VERP behind a plus', 'bounces+17-ab12-bob=example.net@em.example', 'bounces@em.example'],
    ['a number', 'news-20261125@example.org', 'news-#@example.org'],
    ['an identifier', '0100018f2a3b4c5d-1b2c3d4e-5f60-4a@amazonses.example', '#-#-5f60-4a@amazonses.example'],
    ['a name with a number is a name', 'anna2@example.org', 'anna2@example.org'],
    ['a word of hexadecimal letters is a word', 'deadbeef@example.org', 'deadbeef@example.org'],
  ]
  for (const [what, address, expected] of table) t.equal(fold(address), expected, what)
  t.equal(foldSender(NULL_MAILBOX), '')
  t.end()
})

t.test('two messages of one sender are one, two senders are two', t => {
  t.equal(fold('prvs=1234abcdef=anna@example.org'), fold('prvs=2345fedcba=anna@example.org'))
  t.equal(fold('SRS0=aa=bb=x.example=u@f.example'), fold('SRS0=cc=dd=x.example=u@f.example'))
  t.not(fold('SRS0=aa=bb=x.example=u@f.example'), fold('SRS0=aa=bb=y.example=u@f.example'))
  t.not(fold('anna@example.org'), fold('anna@example.net'))
  t.not(fold('anna@example.org'), fold('bob@example.org'))
  t.end()
})

t.test('any address that the parser takes is folded, case aside; a hostile one quickly', t => {
  const local = fc.string({ unit: fc.constantFrom(...'aF0=+-._1'), minLength: 1, maxLength: 255 })
  fc.assert(
    fc.property(local, localPart => {
      const folded = foldSender({ localPart, domain: 'example.org' })
      t.ok(folded.endsWith('@example.org'))
      return folded === foldSender({ localPart: localPart.toUpperCase(), domain: 'EXAMPLE.org' })
    }),
  )
  for (const hostile of [
    '-='.repeat(120),
    'a='.repeat(120),
    'f'.repeat(255),
    '1-'.repeat(120),
    `srs0${'='.repeat(250)}`,
  ]) {
    const before = process.cpuUsage()
    foldSender({ localPart: hostile, domain: 'example.org' })
    // A backtracking expression would take seconds; the processor's time, so that a busy machine changes nothing.
    t.ok(process.cpuUsage(before).user < 500_000, hostile.slice(0, 8))
  }
  t.end()
})

t.test('a recipient is in lower case, and nothing else is folded', t => {
  t.equal(foldRecipient(mailbox('Bob+Lists@Example.NET')), 'bob+lists@example.net')
  t.equal(foldRecipient({ localPart: 'Postmaster', domain: '' }), 'postmaster')
  t.end()
})
