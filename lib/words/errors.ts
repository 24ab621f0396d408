// Errors for programmers: each has a `code`. Errors for the client are in smtp-error.ts.

/** The codes of errors; docs/errors.md says what each means and what to do. */
export type ErrorCode =
  | 'ERR_REPLY'
  | 'ERR_OPTION'
  | 'ERR_TRUNCATED'
  | 'ERR_ABORTED'
  | 'ERR_TIMEOUT'
  | 'ERR_BODY_STARTED'
  | 'ERR_UNREAD'
  | 'ERR_NOT_OFFERED'
  | 'ERR_SESSION_ENDED'
  | 'ERR_PROMPT'
  | 'ERR_SIZE_LIMIT'
  | 'ERR_HEADER_LIMIT'
  | 'ERR_BARE_NEWLINE'
  | 'ERR_CONNECTION_LOST'
  | 'ERR_REFUSED'
  | 'ERR_REPLY_SYNTAX'
  | 'ERR_REPLY_UNEXPECTED'
  | 'ERR_ORDER'
  | 'ERR_TLS'
  | 'ERR_TRANSCRIPT'
  | 'ERR_EXPECTATION'
  | 'ERR_HEADER'
  | 'ERR_CERTIFICATE'
  | 'ERR_STORE'

/** The error that this package throws, and that its streams fail with. `code` is stable, the text is not. */
export class MailHandlerError extends Error {
  /** `'MailHandlerError'`; a subclass has its own. */
  override readonly name: string = 'MailHandlerError'
  /** Which error it is, for programs; docs/errors.md explains each code. */
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
