// Reports an error of a program as a warning of the process, which Node prints on standard error.

import { inspect } from 'node:util'

/** What Node prints below the name and the message of a warning. */
interface Detailed extends Error {
  detail?: string
}

/**
 * Emits an error as a warning of the process. Node prints the name and the message; this adds the stack, with its causes,
 * as the error's `detail`: they say where it was thrown.
 */
export function warn(thrown: unknown): void {
  const error: Detailed = thrown instanceof Error ? thrown : new Error(String(thrown))
  if (error.detail === undefined && Object.isExtensible(error)) {
    Object.defineProperty(error, 'detail', { value: stackOf(error), configurable: true, writable: true })
  }
  process.emitWarning(error)
}

/** The stack without the line that says which error it is, and its causes. */
function stackOf(error: Error): string {
  const stack = error.stack ?? ''
  const frames = stack.slice(Math.max(0, stack.search(/^ {4}at /m)))
  return error.cause === undefined ? frames : `${frames}\n  caused by: ${inspect(error.cause).replaceAll('\n', '\n  ')}`
}
