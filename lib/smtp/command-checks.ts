// The checks before a command's method is called: one function for all commands, by their rows in the table.

import { COMMANDS, type CommandRow } from '../protocol/commands/command-table.ts'
import type { Command } from '../protocol/commands/command.ts'
import { GREET_FIRST, LHLO_FIRST } from '../protocol/commands/phase.ts'
import type { Reply } from '../words/reply.ts'
import * as known from './known-replies.ts'
import type { SmtpSession } from './smtp-session.ts'

/** Why a command is refused before its method is called; null if it is not. */
export function checkCommand(session: SmtpSession, row: CommandRow, { verb, argument }: Command): Reply | null {
  const { state, options } = session
  const { tls, auth, lmtp } = options
  if (state.phase !== 'refused') {
    const early = row.endsGroup ? session.refuseTalkingAhead() : null
    if (early !== null) return early
    const missing = row.extension === null ? null : unavailable(session, row)
    if (missing !== null) return missing
    if (tls?.required === true && state.tls === null && !row.isLegalInClear) return known.TLS_FIRST // [RFC 3207 §4]
  }
  const refusal = row.order[state.phase]
  if (refusal !== null) return lmtp && refusal === GREET_FIRST ? LHLO_FIRST : refusal
  if (row.argument === 'none' && argument.trim() !== '') return known.badArgument(`${verb} takes no argument`)
  if (row.needsUser && auth?.required === true && state.user === null) return known.AUTH_FIRST
  return null
}

function unavailable(session: SmtpSession, row: CommandRow): Reply | null {
  const { tls, auth } = session.options
  if (row.extension === 'AUTH') return auth === null || !session.hasExtension('AUTH') ? known.AUTH_NOT_OFFERED : null
  if (row.extension !== 'STARTTLS') return null
  if (session.state.tls !== null) return known.TLS_ACTIVE
  return tls !== null && session.hasExtension('STARTTLS') && session.isUpgradable ? null : known.TLS_NOT_OFFERED
}

/** True if the session has the command at all: its protocol does, and XCLIENT and XFORWARD come from a trusted proxy. */
export function hasCommand(session: SmtpSession, row: CommandRow): boolean {
  const { lmtp } = session.options
  if (row.protocol !== 'both' && (row.protocol === 'lmtp') !== lmtp) return false
  const isProxyCommand = row.extension === 'XCLIENT' || row.extension === 'XFORWARD'
  return !isProxyCommand || (session.hasExtension(row.extension) && session.isTrustedProxy)
}

/** The verbs that the session offers now, for HELP. */
export function offeredVerbs(session: SmtpSession): readonly string[] {
  const isOffered = (verb: string, row: CommandRow): boolean => {
    if (verb === 'EXPN' || !hasCommand(session, row)) return false // EXPN is known, and never available
    if (row.extension === 'CHUNKING') return session.hasExtension('CHUNKING')
    return unavailable(session, row) === null
  }
  return [...COMMANDS].filter(([verb, row]) => isOffered(verb, row)).map(([verb]) => verb)
}
