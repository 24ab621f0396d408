// A browser, made by somebody to speak SMTP.

import type { Command } from '../protocol/commands/command.ts'

const VERBS: ReadonlySet<string> = new Set([
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'CONNECT',
  'OPTIONS',
  'DELETE',
  'PATCH',
  'TRACE',
])

/** True for a line that HTTP begins with, and for one of its header. */
export function isHttp({ verb }: Command): boolean {
  return VERBS.has(verb) || verb.endsWith(':')
}
