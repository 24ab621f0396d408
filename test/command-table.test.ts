import t from 'tap'
import { BASIC_METHODS, COMMANDS, VERBS, type CommandRow } from '../lib/protocol/commands/command-table.ts'

/** The verbs whose row fits, in the order of the table. */
function verbs(fits: (row: CommandRow) => boolean): string {
  return VERBS.filter(verb => fits(COMMANDS.get(verb)!)).join(' ')
}

t.test('which commands have what', t => {
  const table: [what: string, fits: (row: CommandRow) => boolean, expected: string][] = [
    ['is the last of a pipelined group [RFC 2920 §3.1]', row => row.endsGroup, 'HELO EHLO LHLO AUTH DATA'],
    ['takes no argument', row => row.argument === 'none', 'STARTTLS DATA RSET QUIT'],
    [
      'is legal in clear where TLS is required [RFC 3207 §4]',
      row => row.isLegalInClear,
      'EHLO LHLO STARTTLS NOOP QUIT XCLIENT',
    ],
    ['needs a user where AUTH is required', row => row.needsUser, 'MAIL'],
    ['is of SMTP alone', row => row.protocol === 'smtp', 'HELO EHLO'],
    ['is of LMTP alone', row => row.protocol === 'lmtp', 'LHLO'],
    ['brings no mail further', row => row.isJunk, 'HELO EHLO LHLO RSET NOOP VRFY EXPN HELP'],
    ['comes with an extension', row => row.extension !== null, 'STARTTLS AUTH BDAT XCLIENT XFORWARD'],
    ['is answered by MailHandler', row => row.isBasic, 'HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT'],
  ]
  for (const [what, fits, expected] of table) t.equal(verbs(fits), expected, what)
  t.end()
})

t.test('the method of a verb is named after it', t => {
  const NAMES: Record<string, string> = { STARTTLS: 'StartTls' }
  for (const verb of VERBS) {
    const name = NAMES[verb] ?? `${verb[0]}${verb.slice(1).toLowerCase()}`
    t.equal(COMMANDS.get(verb)!.method, `handle${name}`)
  }
  t.equal(
    [...BASIC_METHODS.keys()].join(' '),
    verbs(row => row.isBasic),
  )
  t.end()
})
