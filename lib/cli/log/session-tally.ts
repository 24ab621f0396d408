// What a session came to, gathered from the channels while it goes on, for its one line in the log.

import { printable } from '../../words/printable.ts'
import type { Reply } from '../../words/reply.ts'
import { COMMANDS } from '../../protocol/commands/command-table.ts'

/** Refused commands that are told in full; the others are counted. */
const REFUSALS = 10
const TEXT = 512

/**
 * Verbs whose arguments hold no secret. Of other lines nothing is told: a client that was refused AUTH may send its
 * password as the next command.
 */
const TOLD: ReadonlySet<string> = new Set(['HELO', 'EHLO', 'LHLO', 'MAIL', 'RCPT', 'DATA', 'BDAT', 'VRFY', 'EXPN'])

/** What became of a message. `lost`: the client was gone before the verdict. */
export type Verdict = 'accepted' | 'deferred' | 'refused' | 'lost'

/** One session's numbers. */
export interface Tally {
  readonly began: number
  command: string
  commands: number
  octets: number
  refused: number
  readonly refusals: { command: string; reply: string }[]
  readonly limits: Set<string>
  readonly messages: Record<Verdict, number>
}

export function newTally(): Tally {
  return {
    began: performance.now(),
    command: 'connect',
    commands: 0,
    octets: 0,
    refused: 0,
    refusals: [],
    limits: new Set(),
    messages: { accepted: 0, deferred: 0, refused: 0, lost: 0 },
  }
}

/** A command as it may stand in a log. */
export function showCommand(verb: string, argument: string | null): string {
  if (!COMMANDS.has(verb)) return 'unknown'
  return argument === null || argument === '' || !TOLD.has(verb) ? verb : printable(`${verb} ${argument}`, TEXT)
}

export function countReply(tally: Tally, answer: Reply): void {
  if (answer.positive) return
  tally.refused += 1
  if (tally.refusals.length < REFUSALS) tally.refusals.push({ command: tally.command, reply: showReply(answer) })
}

/** The reply in one line. */
export function showReply({ code, status, lines }: Reply): string {
  return printable([code, status, lines.join(' / ')].filter(part => part !== null).join(' '), TEXT)
}

/** What the client was told of its message, in one word; of several replies the best. */
export function verdictOf(replies: readonly Reply[]): Verdict {
  if (replies.length === 0) return 'lost'
  // No spread: LMTP has a reply for each recipient, and a call takes only so many arguments.
  const best = replies.reduce((least, { code }) => Math.min(least, code), Infinity)
  if (best < 400) return 'accepted'
  return best < 500 ? 'deferred' : 'refused'
}
