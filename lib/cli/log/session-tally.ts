// Counts what happens in a session, for its one line in the log.

import { printable } from '../../words/printable.ts'
import type { Envelope } from '../../smtp/envelope.ts'
import type { Reply } from '../../words/reply.ts'
import { COMMANDS } from '../../protocol/commands/command-table.ts'

/** Refused commands that are logged in full; further ones are only counted. */
const REFUSALS = 10
const TEXT = 512

/**
 * Verbs whose arguments contain no secret. Nothing of other lines is logged: a client that was refused AUTH may send its
 * password as the next command.
 */
const LOGGED_IN_FULL: ReadonlySet<string> = new Set([
  'HELO',
  'EHLO',
  'LHLO',
  'MAIL',
  'RCPT',
  'DATA',
  'BDAT',
  'VRFY',
  'EXPN',
])

/** The verdict on a message in one word. `lost`: the client was gone before it. */
export type Verdict = 'accepted' | 'deferred' | 'refused' | 'lost'

/** What an upstream has answered to a command, and in what time. */
export interface FromUpstream {
  readonly upstream?: string
  readonly upstreamReply?: string
  readonly upstreamMs?: number
}

/** The counts of one session. */
export interface Tally {
  readonly began: number
  command: string
  commands: number
  octets: number
  refused: number
  readonly refusals: (FromUpstream & { command: string; reply: string })[]
  readonly limits: Set<string>
  readonly messages: Record<Verdict, number>
  /** The transaction that is over, until the next command: its verdict is being sent. */
  concluded: Envelope | null
  /** What an upstream has answered to the command at hand. */
  answered: FromUpstream
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
    concluded: null,
    answered: {},
  }
}

/** Shows a command in a log. */
export function showCommand(verb: string, argument: string | null): string {
  if (!COMMANDS.has(verb)) return 'unknown'
  return argument === null || argument === '' || !LOGGED_IN_FULL.has(verb)
    ? verb
    : printable(`${verb} ${argument}`, TEXT)
}

export function countReply(tally: Tally, answer: Reply): void {
  if (answer.positive) return
  tally.refused += 1
  if (tally.refusals.length < REFUSALS) {
    tally.refusals.push({ command: tally.command, reply: showReply(answer), ...tally.answered })
  }
}

/** Shows a reply in one line. */
export function showReply({ code, status, lines }: Pick<Reply, 'code' | 'status' | 'lines'>): string {
  return printable([code, status, lines.join(' / ')].filter(part => part !== null).join(' '), TEXT)
}

/** Returns the verdict that the client was told; of several replies, the best one. */
export function verdictOf(replies: readonly Reply[]): Verdict {
  if (replies.length === 0) return 'lost'
  // No spread: LMTP has a reply for each recipient, and a call takes only so many arguments.
  const best = replies.reduce((least, { code }) => Math.min(least, code), Infinity)
  if (best < 400) return 'accepted'
  return best < 500 ? 'deferred' : 'refused'
}
