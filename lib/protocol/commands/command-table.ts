// Every command: a row a verb. The one list of verbs, for handlers, HELP, logs, metrics and docs/smtp.md.

import {
  ANY_TIME,
  BEFORE_OR_BETWEEN,
  BETWEEN,
  DATA_ORDER,
  CHUNK_ORDER,
  MAIL_ORDER,
  RCPT_ORDER,
  type Order,
} from './phase.ts'

/** One command. */
export interface CommandRow {
  /** The method that answers it. */
  readonly method: CommandMethod
  /** True if MailHandler itself has the method; else SmtpHandler adds it. */
  readonly isBasic: boolean
  /** In which phases it is legal. [RFC 5321 §4.1.4] */
  readonly order: Order
  /** `'none'`: an argument is refused with 501; `'any'`: the method looks at it. */
  readonly argument: 'none' | 'any'
  /** It is the last of a pipelined group: nothing may follow it before its reply. [RFC 2920 §3.1] */
  readonly endsGroup: boolean
  /** It is legal in clear even if TLS is required. [RFC 3207 §4] */
  readonly isLegalInClear: boolean
  /** It is refused before AUTH if that is required. */
  readonly needsUser: boolean
  /** The protocol that has it. [RFC 2033 §4.1] */
  readonly protocol: 'smtp' | 'lmtp' | 'both'
  /** The extension that brings it, by its EHLO keyword; null for those of RFC 5321. */
  readonly extension: 'STARTTLS' | 'AUTH' | 'CHUNKING' | 'XCLIENT' | 'XFORWARD' | null
  /** It brings no mail any further. */
  readonly isJunk: boolean
}

/** A verb of SMTP or LMTP, of an extension, or of Postfix's XCLIENT and XFORWARD. */
export type Verb =
  | 'HELO'
  | 'EHLO'
  | 'LHLO'
  | 'STARTTLS'
  | 'AUTH'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'BDAT'
  | 'RSET'
  | 'NOOP'
  | 'VRFY'
  | 'EXPN'
  | 'HELP'
  | 'QUIT'
  | 'XCLIENT'
  | 'XFORWARD'

/** The name of a method that answers one verb. */
export type CommandMethod = BasicMethod | SmtpMethod

/** Those of MailHandler. */
export type BasicMethod =
  | 'handleHelo'
  | 'handleEhlo'
  | 'handleMail'
  | 'handleRcpt'
  | 'handleData'
  | 'handleRset'
  | 'handleNoop'
  | 'handleVrfy'
  | 'handleHelp'
  | 'handleQuit'

/** Those that SmtpHandler adds. */
export type SmtpMethod =
  | 'handleLhlo'
  | 'handleBdat'
  | 'handleExpn'
  | 'handleAuth'
  | 'handleStartTls'
  | 'handleXclient'
  | 'handleXforward'

const USUAL = {
  isBasic: true,
  order: ANY_TIME,
  argument: 'any',
  endsGroup: false,
  isLegalInClear: false,
  needsUser: false,
  protocol: 'both',
  extension: null,
  isJunk: false,
} as const satisfies Omit<CommandRow, 'method'>

const GREETING = { ...USUAL, endsGroup: true, isLegalInClear: true, isJunk: true } as const

const ROWS = {
  HELO: { ...GREETING, method: 'handleHelo', isLegalInClear: false, protocol: 'smtp' },
  EHLO: { ...GREETING, method: 'handleEhlo', protocol: 'smtp' },
  LHLO: { ...GREETING, method: 'handleLhlo', isBasic: false, protocol: 'lmtp' },
  STARTTLS: {
    ...USUAL,
    method: 'handleStartTls',
    isBasic: false,
    order: BETWEEN,
    argument: 'none',
    isLegalInClear: true,
    extension: 'STARTTLS',
  },
  AUTH: { ...USUAL, method: 'handleAuth', isBasic: false, order: BETWEEN, endsGroup: true, extension: 'AUTH' },
  MAIL: { ...USUAL, method: 'handleMail', order: MAIL_ORDER, needsUser: true },
  RCPT: { ...USUAL, method: 'handleRcpt', order: RCPT_ORDER },
  DATA: { ...USUAL, method: 'handleData', order: DATA_ORDER, argument: 'none', endsGroup: true },
  BDAT: { ...USUAL, method: 'handleBdat', isBasic: false, order: CHUNK_ORDER, extension: 'CHUNKING' },
  RSET: { ...USUAL, method: 'handleRset', argument: 'none', isJunk: true },
  NOOP: { ...USUAL, method: 'handleNoop', isLegalInClear: true, isJunk: true },
  VRFY: { ...USUAL, method: 'handleVrfy', isJunk: true },
  EXPN: { ...USUAL, method: 'handleExpn', isBasic: false, isJunk: true },
  HELP: { ...USUAL, method: 'handleHelp', isJunk: true },
  QUIT: {
    ...USUAL,
    method: 'handleQuit',
    order: { ...ANY_TIME, refused: null },
    argument: 'none',
    isLegalInClear: true,
  },
  XCLIENT: {
    ...USUAL,
    method: 'handleXclient',
    isBasic: false,
    order: BEFORE_OR_BETWEEN,
    isLegalInClear: true,
    extension: 'XCLIENT',
  },
  XFORWARD: { ...USUAL, method: 'handleXforward', isBasic: false, order: BETWEEN, extension: 'XFORWARD' },
} as const satisfies Record<Verb, CommandRow>

/** Every command by its verb in upper case. */
export const COMMANDS: ReadonlyMap<string, CommandRow> = new Map(Object.entries(ROWS))

/** Every verb, in the order of the table. */
export const VERBS: readonly Verb[] = Object.keys(ROWS) as Verb[]

/** The methods of MailHandler, by verb. */
export const BASIC_METHODS: ReadonlyMap<string, BasicMethod> = new Map(
  Object.entries(ROWS).flatMap(([verb, { isBasic, method }]) => (isBasic ? [[verb, method as BasicMethod]] : [])),
)
