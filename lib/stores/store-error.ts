// The one error of all stores.

import { MailHandlerError } from '../words/errors.ts'

/**
 * What is wrong with a store:
 *
 * - `timeout`: no answer by the deadline of the call, or its signal was aborted
 * - `down`: no connection, no file, or the store is closed
 * - `full`: no space on the disk or no memory in the server
 * - `readonly`: it cannot be written to
 * - `busy`: another process holds the lock, or more calls wait than the store allows
 * - `corrupt`: the file is damaged; it was moved aside, or that failed
 */
export type StoreErrorKind = 'timeout' | 'down' | 'full' | 'readonly' | 'busy' | 'corrupt'

/** What a call of a {@link Store} rejects with; its `code` is `ERR_STORE`. What it means for mail is the policy's decision. */
export class StoreError extends MailHandlerError {
  /** `'StoreError'` */
  override readonly name: string = 'StoreError'
  /** What is wrong; `timeout`, `down`, `busy` may pass by themselves, the others need somebody. */
  readonly kind: StoreErrorKind

  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super('ERR_STORE', message, options)
    this.kind = kind
  }
}
