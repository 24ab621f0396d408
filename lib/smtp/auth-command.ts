// The AUTH command: parses it, runs the mechanism, asks the program. [RFC 4954 §4]

import { decodeBase64, decodeInitialResponse } from '../words/base64.ts'
import { SmtpError } from '../words/smtp-error.ts'
import { LINE_TOO_LONG } from '../words/replies.ts'
import { reply, type Reply } from '../words/reply.ts'
import type { Credentials, Exchange, Identity, Mechanism } from './auth/mechanism.ts'
import * as known from './known-replies.ts'

/** What an AUTH command needs of its session. */
export interface AuthContext {
  /** Sends a 334 and resolves with the client's line. */
  prompt(challenge: Reply): Promise<string>
  /** What the hooks say: see `onAuth`. */
  verify(credentials: Credentials): Promise<Reply | void>
}

/** How an AUTH command ended: with an identity, and 235; or without, and a refusal. */
export interface AuthOutcome {
  readonly answer: Reply
  readonly identity: Identity | null
}

/** `PLAIN`, `PLAIN AGFubmEAc2VjcmV0`, `PLAIN =`. */
const ARGUMENT = /^([A-Za-z0-9_-]{1,20})(?: +(\S+))? *$/

/** Runs one AUTH command. Its refusals come back; what breaks (a hook, a lookup, the connection) is thrown. */
export async function authenticate(
  argument: string,
  mechanisms: ReadonlyMap<string, Mechanism>,
  context: AuthContext,
): Promise<AuthOutcome> {
  const [, name, response] = ARGUMENT.exec(argument) ?? []
  if (name === undefined) return refused(known.badArgument('AUTH takes a mechanism, then base64 or nothing'))
  const mechanism = mechanisms.get(name.toUpperCase())
  if (mechanism === undefined) return refused(known.AUTH_UNKNOWN)
  const initial = response === undefined ? null : decodeInitialResponse(response)
  if (initial === null && response !== undefined) return refused(known.BAD_BASE64)

  let answer: Reply | undefined
  const exchange: Exchange = {
    initial,
    challenge: data => challenge(data, context),
    async verify(credentials) {
      answer = (await context.verify(credentials)) ?? undefined
      return answer === undefined ? 'verified' in credentials : answer.positive
    },
  }
  try {
    const identity = await mechanism.authenticate(exchange)
    return outcome(identity, answer)
  } catch (error) {
    if (error instanceof SmtpError) return refused(error.reply)
    throw error
  }
}

function outcome(identity: Identity | null, answer: Reply | undefined): AuthOutcome {
  if (identity === null) return refused(answer?.positive === false ? answer : known.AUTH_FAILED)
  return { identity, answer: answer?.code === 235 ? answer : known.AUTH_OK }
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

function refused(answer: Reply): AuthOutcome {
  return { answer, identity: null }
}
