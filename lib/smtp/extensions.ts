// The service extensions: their names, and which are on by default.

import type { Extension } from '../protocol/parameters/parameter-rows.ts'

/** An extension by its EHLO keyword. */
export type ExtensionName =
  | Extension
  | 'PIPELINING'
  | 'ENHANCEDSTATUSCODES'
  | 'STARTTLS'
  | 'CHUNKING'
  | 'LIMITS'
  | 'XCLIENT'
  | 'XFORWARD'

/**
 * Every extension, and whether it is on by default. Off are those that promise what happens after acceptance, which
 * only the program can keep.
 */
export const EXTENSIONS: ReadonlyMap<ExtensionName, boolean> = new Map([
  ['PIPELINING', true], // RFC 2920
  ['SIZE', true], // RFC 1870
  ['8BITMIME', true], // RFC 6152
  ['SMTPUTF8', true], // RFC 6531
  ['ENHANCEDSTATUSCODES', true], // RFC 2034
  ['STARTTLS', true], // RFC 3207, if TLS is configured
  ['AUTH', true], // RFC 4954, if it is configured
  ['CHUNKING', true], // RFC 3030
  ['BINARYMIME', true], // RFC 3030
  ['LIMITS', true], // RFC 9422
  ['DSN', false], // RFC 3461
  ['REQUIRETLS', false], // RFC 8689
  ['MT-PRIORITY', false], // RFC 6710
  ['DELIVERBY', false], // RFC 2852
  ['FUTURERELEASE', false], // RFC 4865
  ['RRVS', false], // RFC 7293
  ['XCLIENT', true], // for the networks of the option `xclient`
  ['XFORWARD', true],
])

/** Seconds that FUTURERELEASE may hold a message: seven days. [RFC 4865 §4] */
export const HOLD_SECONDS = 604_800
