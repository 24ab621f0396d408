// A question to the client while a command is at hand, as AUTH asks: its answer is the next line.

import { MailHandlerError } from '../words/errors.ts'
import { SmtpError } from '../words/smtp-error.ts'
import type { CutLine } from './line-cutter.ts'
import { PROBLEMS } from './methods.ts'

/** A question that waits for its line. */
export class Prompt {
  /** The greatest length of the line in octets, CRLF included. */
  readonly limit: number
  readonly #resolve: (line: string) => void
  readonly #reject: (error: Error) => void

  constructor(limit: number, resolve: (line: string) => void, reject: (error: Error) => void) {
    this.limit = limit
    this.#resolve = resolve
    this.#reject = reject
  }

  /** The line has come. */
  fulfil({ line, problem }: CutLine): void {
    if (line === null) this.#reject(new SmtpError(PROBLEMS[problem]))
    else this.#resolve(line)
  }

  /** It will not. */
  abandon(error: Error): void {
    this.#reject(error)
  }
}

/** The error for a prompt without a command at hand, or beside another prompt. */
export function promptMisused(): MailHandlerError {
  return new MailHandlerError('ERR_PROMPT', 'prompt() is for a command at hand, one at a time, and awaited there')
}
