// The verbs of commands.

/** Of SMTP and LMTP, with the extensions that have commands. [RFC 5321 §4.1.1, RFC 2033, 3030, 3207, 4954] */
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

/** Those, and of Postfix what a trusted proxy says: everything that a command may be called in logs and metrics. */
export const KNOWN_VERBS: ReadonlySet<string> = new Set([...VERBS, 'XCLIENT', 'XFORWARD'])
