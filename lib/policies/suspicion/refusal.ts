// What a client is told that is refused for its signs: in our words, so that its postmaster knows what to mend.

import { reply, type Reply } from '../../words/reply.ts'
import { certain } from './signs.ts'
import type { Sign, SignName } from './verdict.ts'

const WORDS: Readonly<Record<SignName, string>> = {
  noReverseName: 'no reverse DNS name',
  unconfirmedName: 'reverse DNS name does not point back',
  dynamicName: 'name of a customer connection',
  heloMismatch: 'HELO is not your name',
  heloOurs: 'HELO is our name',
  listed: 'address is on DNS block lists',
  nearlyListed: 'address is on a DNS list',
  spfFail: 'SPF forbids this sender',
  spfSoftfail: 'SPF discourages this sender',
  spfNone: 'no SPF record for the sender',
  earlyTalker: 'did not wait for the greeting',
  noTls: 'no STARTTLS',
}

/** 550 5.7.1 with the signs that are certain. */
export function refusal(signs: readonly Sign[]): Reply {
  const words = certain(signs).map(({ sign }) => WORDS[sign])
  return reply(550, '5.7.1', `Refused: ${words.join(', ')}`)
}
