// The AUTH command: parses it, runs the mechanism, asks the hooks. [RFC 4954 §4]

import type { Command } from '../protocol/commands/command.ts'
import type { Answer } from '../stream/handlers.ts'
import type { MailHandler } from '../stream/mail-handler.ts'
import { decodeBase64, decodeInitialResponse } from '../words/base64.ts'
import { channels } from './diagnostics.ts'
import { MailHandlerError } from '../words/errors.ts'
import { SmtpError } from '../words/smtp-error.ts'
import { LINE_TOO_LONG } from '../words/replies.ts'
import { reply, type Reply } from '../words/reply.ts'
import { AuthAttempt } from './auth/auth-guard.ts'
import { NOTHING_SHOWN } from './auth/mechanism.ts'
import type { Credentials, Exchange, Identity, Mechanism } from './auth/mechanism.ts'
import * as known from './known-replies.ts'
import type { SmtpSession } from './smtp-session.ts'

/** What an AUTH command needs of its session. */
interface AuthContext {
  readonly mechanisms: ReadonlyMap<string, Mechanism>
  readonly attempt: AuthAttempt
  /** Sends a 334 and resolves with the client's line. */
  prompt(challenge: Reply): Promise<string>
  /** What the hooks say: see `onAuth`. */
  verify(credentials: Credentials): Promise<Reply | void>
  /** The reply to what was thrown; a refusal that has a program error as its cause is reported. */
  replyTo(error: unknown): Reply
}

/** How an AUTH command ended: with an identity and 235, or with null and a refusal. */
interface AuthOutcome {
  readonly answer: Reply
  readonly identity: Identity | null
  /** True if the client showed wrong credentials; a cancelled or malformed exchange shows none. */
  readonly isWrong: boolean
  /** Whom the client wanted to be, and how. */
  readonly claim?: { readonly mechanism: string; readonly user: string | null }
}

/** `PLAIN`, `PLAIN AGFubmEAc2VjcmV0`, `PLAIN =`. */
const ARGUMENT = /^([A-Za-z0-9_-]{1,20})(?: +(\S+))? *$/

/** Answers the command; its identity, if there is one, becomes the session's. */
export function answerAuth(handler: MailHandler, session: SmtpSession, { argument }: Command): Answer {
  const { state, options } = session
  const { limits, timeouts } = options
  const auth = options.auth!
  if (state.user !== null) return known.AUTH_DONE
  if (state.tls === null && !auth.insecure) return known.AUTH_NEEDS_TLS
  const { address } = state.client
  const attempt = new AuthAttempt(auth.guard, { address, signal: () => state.signal, patience: timeouts.hook })
  return authenticate(argument, {
    mechanisms: auth.mechanisms,
    attempt,
    prompt: challenge => handler.prompt(challenge, limits.authLine),
    verify: async credentials => session.hooks.askFrom(0, 'onAuth', credentials),
    replyTo: error => session.replyTo(error),
  }).then(outcome => note(session, outcome))
}

function note(session: SmtpSession, { answer, identity, isWrong, claim }: AuthOutcome): Reply {
  if (isWrong) session.usage.countAuthFailure()
  if (isWrong && claim !== undefined && channels.login.hasSubscribers) {
    channels.login.publish({ session: session.state.view, ...claim, reply: answer })
  }
  if (answer === known.TOO_MANY_GUESSES) session.passLimit('guesses', answer)
  if (identity === null) return answer
  session.state.user = identity.user
  session.state.authzid = identity.authzid === '' ? null : identity.authzid
  return answer
}

/** Runs one AUTH command. Returns its refusals; throws what a hook, a lookup or the connection throws. */
async function authenticate(argument: string, context: AuthContext): Promise<AuthOutcome> {
  const [, name, response] = ARGUMENT.exec(argument) ?? []
  if (name === undefined) return refused(known.badArgument('AUTH takes a mechanism, then base64 or nothing'), false)
  const mechanism = context.mechanisms.get(name.toUpperCase())
  if (mechanism === undefined) return refused(known.AUTH_UNKNOWN, false)
  const initial = response === undefined ? null : decodeInitialResponse(response)
  if (initial === null && response !== undefined) return refused(known.BAD_BASE64, false)
  try {
    const claim = { mechanism: mechanism.name, user: null as string | null }
    return { ...(await runMechanism(mechanism, initial, context, user => (claim.user = user))), claim }
  } finally {
    context.attempt.end()
    context.attempt.stopWork()
  }
}

async function runMechanism(
  mechanism: Mechanism,
  initial: Buffer | null,
  context: AuthContext,
  claim: (user: string) => void,
): Promise<AuthOutcome> {
  const { attempt } = context
  let answer: Reply | undefined
  let isJudged = false
  let isWrong = false
  let isOver = false
  /** Does what is not the mechanism's own work. */
  const aside = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isOver) throw new MailHandlerError('ERR_SESSION_ENDED', 'the AUTH command is over')
    attempt.stopWork()
    try {
      return await work()
    } finally {
      if (!isOver) attempt.startWork()
    }
  }
  const exchange: Exchange = {
    initial,
    claim,
    challenge: data =>
      aside(async () => {
        attempt.end()
        const response = await challenge(data, context)
        if (!isJudged) await attempt.begin()
        return response
      }),
    verify: credentials =>
      aside(async () => {
        claim(credentials.user)
        answer = await answerOf(context.verify(credentials), context)
        const isAdmitted = answer === undefined ? 'verified' in credentials : answer.positive
        isJudged = true
        isWrong = !isAdmitted && isFinal(answer)
        if (isWrong) await attempt.noteWrong(credentials)
        return isAdmitted
      }),
  }
  try {
    await (initial === null ? attempt.checkCount() : attempt.begin())
    attempt.startWork()
    const identity = await Promise.race([mechanism.authenticate(exchange), attempt.late])
    if (identity !== null) return { identity, answer: answer?.code === 235 ? answer : known.AUTH_OK, isWrong: false }
    if (!isJudged) await attempt.noteWrong(null)
    return refused(answer?.positive === false ? answer : known.AUTH_FAILED, isFinal(answer))
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error
    const isGuess = !isJudged && error.reply.code === 535 && error.reply !== NOTHING_SHOWN
    if (isGuess) await attempt.noteWrong(null)
    return refused(context.replyTo(error), isWrong || isGuess) // the client may cancel what has been refused
  } finally {
    isOver = true
  }
}

/** What the hooks say; an SmtpError that they throw is what they say. */
function answerOf(asked: Promise<Reply | void>, context: AuthContext): Promise<Reply | undefined> {
  return asked.then(
    answer => answer ?? undefined,
    (error: unknown) => {
      if (error instanceof SmtpError) return context.replyTo(error)
      throw error
    },
  )
}

/** False for a 4yz, which says nothing about the credentials. */
function isFinal(answer: Reply | undefined): boolean {
  return answer === undefined || answer.positive || answer.code >= 500
}

async function challenge(data: Buffer | string, context: AuthContext): Promise<Buffer> {
  const line = await context.prompt(reply(334, Buffer.from(data).toString('base64'))).catch((error: unknown) => {
    const tooLong = error instanceof SmtpError && error.reply === LINE_TOO_LONG
    throw tooLong ? new SmtpError(known.AUTH_LINE_TOO_LONG) : error
  })
  if (line === '*') throw new SmtpError(known.AUTH_CANCELLED)
  const response = decodeBase64(line)
  if (response === null) throw new SmtpError(known.BAD_BASE64)
  return response
}

function refused(answer: Reply, isWrong: boolean): AuthOutcome {
  return { answer, identity: null, isWrong }
}
