// Socket activation: the sockets that systemd has opened, as it names them in the environment. [sd_listen_fds(3)]

import { MailHandlerError } from '../words/errors.ts'

/** A listening socket that systemd has passed in: its descriptor, and `FileDescriptorName=` of the socket unit. */
export interface ListenDescriptor {
  /** The file descriptor, 3 or above, for `server.listen({ fd })`. */
  readonly fd: number
  /** `'unknown'` if systemd gave no names. */
  readonly name: string
}

const FIRST_DESCRIPTOR = 3
// More than a process may open: a wrong number must not make a list of that length.
const MOST_DESCRIPTORS = 65_536

/**
 * Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. Returns an empty list if no socket was passed, or if the variables were
 * inherited and meant for another process.
 *
 * @throws {MailHandlerError} `ERR_OPTION` for values that systemd never sets: a server that was started for a socket must
 *   not go on without it.
 */
export function listenDescriptors(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): ListenDescriptor[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = environment
  if (LISTEN_PID === undefined || LISTEN_FDS === undefined) return []
  if (wholeNumber('LISTEN_PID', LISTEN_PID, Number.MAX_SAFE_INTEGER) !== pid) return []
  const count = wholeNumber('LISTEN_FDS', LISTEN_FDS, MOST_DESCRIPTORS)
  const names = LISTEN_FDNAMES?.split(':')
  if (count > 0 && names !== undefined && names.length !== count) {
    throw new MailHandlerError('ERR_OPTION', `LISTEN_FDNAMES: ${names.length} names for ${count} descriptors`)
  }
  return Array.from({ length: count }, (_, i) => ({ fd: FIRST_DESCRIPTOR + i, name: names?.[i] ?? 'unknown' }))
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (value <= max) return value
  throw new MailHandlerError('ERR_OPTION', `${name}: a whole number up to ${max}, not ${JSON.stringify(text)}`)
}
