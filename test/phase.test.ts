import t from 'tap'
import { COMMANDS, VERBS, type Verb } from '../lib/protocol/commands/command-table.ts'
import { GO_AWAY, LHLO_FIRST, protocolName, type Phase } from '../lib/protocol/commands/phase.ts'

const PHASES: readonly Phase[] = ['connected', 'greeted', 'sender', 'recipients', 'chunks', 'failed', 'refused']

const GREET = 'Send HELO or EHLO first'
const BUSY = 'Not during a mail transaction'
const TWICE = 'The sender is given already: send RSET to begin again'
const MAIL = 'Send MAIL first'
const RCPT = 'Send RCPT first: there is no valid recipient'
const BDAT = 'After BDAT only BDAT, RSET or QUIT is possible'
const FAILED = 'A BDAT was refused: send RSET to begin again'
const QUIT = 'Only QUIT is possible now'

const ANY_TIME = ['', '', '', '', '', '', QUIT]

// In the order of PHASES; '' if the verb is legal there.
const ROWS: Readonly<Record<Verb, readonly string[]>> = {
  HELO: ['', '', '', '', '', '', QUIT],
  EHLO: ['', '', '', '', '', '', QUIT],
  LHLO: ['', '', '', '', '', '', QUIT],
  RSET: ANY_TIME,
  NOOP: ANY_TIME,
  VRFY: ANY_TIME,
  EXPN: ANY_TIME,
  HELP: ANY_TIME,
  QUIT: ['', '', '', '', '', '', ''],
  MAIL: [GREET, '', TWICE, TWICE, BDAT, FAILED, QUIT],
  RCPT: [GREET, MAIL, '', '', BDAT, FAILED, QUIT],
  DATA: [GREET, MAIL, RCPT, '', BDAT, FAILED, QUIT],
  BDAT: [GREET, MAIL, RCPT, '', '', FAILED, QUIT],
  AUTH: [GREET, '', BUSY, BUSY, BDAT, FAILED, QUIT],
  STARTTLS: [GREET, '', BUSY, BUSY, BDAT, FAILED, QUIT],
  XCLIENT: ['', '', BUSY, BUSY, BDAT, FAILED, QUIT],
  XFORWARD: [GREET, '', BUSY, BUSY, BDAT, FAILED, QUIT],
}

t.test('each verb in each phase', async t => {
  for (const [verb, row] of Object.entries(ROWS)) {
    PHASES.forEach((phase, i) => {
      const refusal = COMMANDS.get(verb)!.order[phase]
      t.equal(refusal?.lines[0] ?? '', row[i], `${verb} when ${phase}`)
      if (refusal !== null) t.match(refusal, { code: 503, status: '5.5.1' })
    })
  }
  t.equal(COMMANDS.get('EHLO')!.order.refused, GO_AWAY)
  t.equal(String(LHLO_FIRST), '503 5.5.1 Send LHLO first\r\n')
  t.strictSame(Object.keys(ROWS).toSorted(), VERBS.toSorted())
})

t.test('the protocol by its registered name [RFC 3848, RFC 6531 §4.3]', async t => {
  const names: readonly (readonly [traits: string, name: string])[] = [
    ['', 'SMTP'],
    ['tls', 'SMTP'],
    ['lmtp', 'SMTP'],
    ['extended', 'ESMTP'],
    ['extended tls', 'ESMTPS'],
    ['extended authenticated', 'ESMTPA'],
    ['extended tls authenticated', 'ESMTPSA'],
    ['extended utf8', 'UTF8SMTP'],
    ['extended utf8 tls', 'UTF8SMTPS'],
    ['extended utf8 authenticated', 'UTF8SMTPA'],
    ['extended utf8 tls authenticated', 'UTF8SMTPSA'],
    ['extended lmtp', 'LMTP'],
    ['extended lmtp tls', 'LMTPS'],
    ['extended lmtp authenticated', 'LMTPA'],
    ['extended lmtp tls authenticated', 'LMTPSA'],
    ['extended lmtp utf8', 'UTF8LMTP'],
    ['extended lmtp utf8 tls', 'UTF8LMTPS'],
    ['extended lmtp utf8 authenticated', 'UTF8LMTPA'],
    ['extended lmtp utf8 tls authenticated', 'UTF8LMTPSA'],
  ]
  for (const [traits, name] of names) {
    const has = (trait: string): boolean => traits.split(' ').includes(trait)
    const [lmtp, extended, tls] = [has('lmtp'), has('extended'), has('tls')]
    const given = { lmtp, extended, tls, authenticated: has('authenticated'), utf8: has('utf8') }
    t.equal(protocolName(given), name, traits)
  }
})
