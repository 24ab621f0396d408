// The verbs of commands.

/** The verbs of SMTP and LMTP, and of the extensions that have commands. [RFC 5321 §4.1.1, RFC 2033, 3030, 3207, 4954] */
export const VERBS = [
  'HELO',
  'EHLO',
  'LHLO',
  'STARTTLS',
  'AUTH',
  'MAIL',
  'RCPT',
  'DATA',
  'BDAT',
  'RSET',
  'NOOP',
  'VRFY',
  'EXPN',
  'HELP',
  'QUIT',
] as const

/** The same and those of a trusted proxy, from Postfix: every name of a command in logs and metrics. */
export const KNOWN_VERBS: ReadonlySet<string> = new Set([...VERBS, 'XCLIENT', 'XFORWARD'])
