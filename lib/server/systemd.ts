// Socket activation: what systemd says in the environment about the sockets it has opened, as sd_listen_fds(3) reads
// it.

import { MailHandlerError } from '../words/errors.ts'

/** A listening socket that was passed in: its descriptor, and `FileDescriptorName=` of the socket unit. */
export interface ListenDescriptor {
  readonly fd: number
  /** `unknown` where systemd gave no names. */
  readonly name: string
}

const firstDescriptor = 3
// More than any process may open: a wrong number should not become a list of that length.
const maxDescriptors = 65_536

/**
 * Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. Empty when nothing was passed, or when it was meant for another
 * process (the variables were inherited). Throws `ERR_OPTION` for values that systemd never sets: a server that was
 * started for a socket should not go on without it.
 */
export function listenDescriptors(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): ListenDescriptor[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = environment
  if (LISTEN_PID === undefined || LISTEN_FDS === undefined) return []
  if (wholeNumber('LISTEN_PID', LISTEN_PID, Number.MAX_SAFE_INTEGER) !== pid) return []
  const count = wholeNumber('LISTEN_FDS', LISTEN_FDS, maxDescriptors)
  const names = LISTEN_FDNAMES?.split(':')
  if (count > 0 && names !== undefined && names.length !== count) {
    throw new MailHandlerError('ERR_OPTION', `LISTEN_FDNAMES: ${names.length} names for ${count} descriptors`)
  }
  return Array.from({ length: count }, (_, i) => ({ fd: firstDescriptor + i, name: names?.[i] ?? 'unknown' }))
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (value <= max) return value
  throw new MailHandlerError('ERR_OPTION', `${name}: not a whole number up to ${max}: ${JSON.stringify(text)}`)
}
