// AUTH: one exchange with the server. [RFC 4954 §4]

import type { ReceivedReply } from '../../protocol/replies/received-reply.ts'
import type { ServerOffer } from '../../protocol/replies/server-offer.ts'
import { decodeBase64 } from '../../words/base64.ts'
import { SmtpClientError } from '../client-error.ts'
import type { ClientExchange } from './exchange.ts'
import type { ResolvedClientAuth } from './mechanisms.ts'

/** Sends one line of the exchange and resolves with the reply to it. */
export type SendAuth = (line: string) => Promise<ReceivedReply>

/** Challenges of an exchange, at the most; no mechanism has more than two. */
const CHALLENGES = 4
/** Octets of a command line without CRLF that every server takes; a longer initial response waits for a challenge. */
const COMMAND_OCTETS = 510

const CONTINUE = 334
const AUTHENTICATED = 235

/**
 * Logs in with the preferred mechanism of those that the server offers. Rejects with a {@link SmtpClientError}:
 * `ERR_NOT_OFFERED` if it offers none of them, `ERR_REFUSED` if it refuses, or has not proved that it knows the password
 * if the mechanism asks for that. Nothing of an exchange is in an error but the last reply.
 */
export async function authenticate(auth: ResolvedClientAuth, offer: ServerOffer, send: SendAuth): Promise<void> {
  const mechanism = auth.mechanisms.find(name => offer.auth.includes(name))
  if (mechanism === undefined) {
    const message = `the server does not offer ${auth.mechanisms.join(' or ')}`
    throw new SmtpClientError('ERR_NOT_OFFERED', message, { step: 'AUTH' })
  }
  const exchange = auth.begin(mechanism)
  let pending = encode(await exchange.initial())
  const command = `AUTH ${mechanism} ${pending ?? ''}`.trimEnd()
  const fits = command.length <= COMMAND_OCTETS
  let reply = await send(fits ? command : `AUTH ${mechanism}`)
  if (fits) pending = null
  for (let challenges = 0; reply.code === CONTINUE; challenges++) {
    if (challenges === CHALLENGES) return cancel(send, 'the exchange does not end')
    const answer = pending ?? (await answerTo(reply, exchange))
    pending = null
    if (answer instanceof Error) return cancel(send, answer.message)
    reply = await send(answer)
  }
  if (reply.code !== AUTHENTICATED) throw refused(`the server refuses ${mechanism} with ${reply.code}`, reply)
  if (!exchange.isComplete()) throw refused('the server has not proved that it knows the password', reply)
}

/** The answer in base64; an error if the mechanism does not accept the challenge. */
async function answerTo(reply: ReceivedReply, exchange: ClientExchange): Promise<string | Error> {
  const challenge = decodeBase64(reply.lines[0] ?? '')?.toString() ?? '' // LOGIN's may be anything
  try {
    return encode(await exchange.answer(challenge)) ?? ''
  } catch (error) {
    return error as Error
  }
}

/** Cancels the exchange with `*`, then fails. */
async function cancel(send: SendAuth, problem: string): Promise<never> {
  throw refused(problem, await send('*'))
}

function encode(message: string | null): string | null {
  return message === null ? null : Buffer.from(message).toString('base64')
}

function refused(message: string, reply: ReceivedReply): SmtpClientError {
  return new SmtpClientError('ERR_REFUSED', message, { step: 'AUTH', reply })
}
