// Where the octets of a log go: a file by its path, or standard error. A write never blocks: a pipe, a terminal or a
// socket that takes no more answers EAGAIN, so that no thread of Node waits for it, not even when the process exits.

import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { printable } from '../words/printable.ts'

const MODE = 0o640
const STANDARD_ERROR = 2
const { O_APPEND, O_CREAT, O_WRONLY } = constants
// Undefined on a system that does not have them.
const NO_WAITING = (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0)
const FILE_BATCH = 65_536
/** Lines of several processes do not mix in a pipe up to this length, which is Linux's PIPE_BUF. */
const PIPE_BATCH = 4096

/** A target that is open. */
export interface OpenTarget {
  readonly fd: number
  /** The most octets to write at once. */
  readonly batch: number
}

/** A place to write to. */
export interface LogTarget {
  /** As warnings name it. */
  readonly name: string
  /** Opens it. Throws the system's error. */
  open(): OpenTarget
  /** Closes what `open` returned. Never throws. */
  close(fd: number): void
  /** True if the name can belong to another file after a log rotation. */
  readonly canBeReopened: boolean
}

/** A file to append to; it is created with mode 0640. A FIFO that nobody reads is an error, not a wait. */
export function fileTarget(path: string): LogTarget {
  return {
    name: printable(path),
    open: () => describe(openSync(path, O_WRONLY | O_APPEND | O_CREAT | NO_WAITING, MODE)),
    close,
    canBeReopened: true,
  }
}

/** Standard error. It is never closed: its number would go to the next file that is opened. */
export function standardErrorTarget(): LogTarget {
  return {
    name: 'standard error',
    open: () => describe(withoutWaiting()),
    close: fd => {
      if (fd !== STANDARD_ERROR) close(fd)
    },
    canBeReopened: false,
  }
}

function describe(fd: number): OpenTarget {
  return { fd, batch: fstatSync(fd).isFile() ? FILE_BATCH : PIPE_BATCH }
}

function close(fd: number): void {
  try {
    closeSync(fd)
  } catch {
    // The descriptor is gone all the same.
  }
}

/**
 * Opens standard error a second time, so that the flag O_NONBLOCK is not shared with the programs that also write there.
 * Returns the descriptor itself for a file, which never blocks, and for a socket, which cannot be opened twice.
 */
function withoutWaiting(): number {
  const kind = fstatSync(STANDARD_ERROR)
  if (kind.isFile()) return STANDARD_ERROR
  if (kind.isFIFO() || kind.isCharacterDevice()) {
    try {
      return openSync(`/proc/self/fd/${STANDARD_ERROR}`, O_WRONLY | O_APPEND | NO_WAITING)
    } catch {
      // Not on Linux, another user's terminal, or a pipe whose reader is gone.
    }
  }
  void process.stderr // Node sets O_NONBLOCK when it makes this stream.
  return STANDARD_ERROR
}
