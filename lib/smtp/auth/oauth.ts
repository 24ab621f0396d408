// XOAUTH2 and OAUTHBEARER: a bearer token in pairs of key and value, each ended by 0x01. A refused client gets the reason
// as a challenge in JSON, answers it with anything, and then gets 535.

import { MailHandlerError } from '../../words/errors.ts'
import { SmtpError } from '../../words/smtp-error.ts'
import { readGs2 } from './gs2.ts'
import { malformed, NOTHING_SHOWN } from './mechanism.ts'
import type { AuthResult, Exchange, Mechanism, TokenCredentials } from './mechanism.ts'
import { isSecret, prepareNames, readText, resolveNames, withSecret } from './names.ts'
import type { NameOptions, NameRules } from './names.ts'

/** Options of {@link xoauth2} and {@link oauthbearer}. */
export interface OAuthOptions extends Pick<NameOptions, 'prepare'> {
  /** The scope that a token must have; refused clients are told. @defaultValue none */
  readonly scope?: string
  /** Where clients find the issuer; refused ones are told (OAUTHBEARER only). [RFC 7628 §3.2.2] @defaultValue none */
  readonly openidConfiguration?: string
}

/** The longest JSON of a refusal, in octets: in base64 it must fit into a reply line of 512. */
const REFUSAL_OCTETS = 378
const BEARER = /^bearer +([\w.~+/-]+=*)$/i // [RFC 6750 §2.1]
const HOST = /^[\x21-\x7e]{1,255}$/
const PORT = /^\d{1,5}$/

/** Makes the XOAUTH2 mechanism of Google and Microsoft: `user=…` and `auth=Bearer …`. */
export function xoauth2(options: Omit<OAuthOptions, 'openidConfiguration'> = {}): Mechanism {
  const rules = resolveNames('xoauth2', options, ['prepare', 'scope'])
  const refusal = encodeRefusal({ status: '401', schemes: 'bearer', scope: options.scope })
  return bearer('XOAUTH2', refusal, rules, text => {
    const pairs = readPairs(`\x01${text}`)
    const user = pairs?.get('user')
    const auth = pairs?.get('auth')
    return isSecret(user) && auth !== undefined ? { user, auth } : null
  })
}

/**
 * Makes the OAUTHBEARER mechanism. If the client names no user, `user` is empty in credentials and identity, and `onAuth`
 * must learn from the token who it is. A client sends an empty `auth` to be refused and discover the issuer. [RFC 7628]
 */
export function oauthbearer(options: OAuthOptions = {}): Mechanism {
  const rules = resolveNames('oauthbearer', options, ['prepare', 'scope', 'openidConfiguration'])
  const refusal = encodeRefusal({
    status: 'invalid_token',
    scope: options.scope,
    'openid-configuration': options.openidConfiguration,
  })
  return bearer('OAUTHBEARER', refusal, rules, text => {
    const gs2 = readGs2(text)
    const pairs = gs2 === null ? null : readPairs(gs2.rest)
    const auth = pairs?.get('auth')
    if (gs2 === null || auth === undefined) return null
    const host = pairs?.get('host')
    const port = pairs?.get('port')
    if (host !== undefined && !HOST.test(host)) return null
    if (port !== undefined && !(PORT.test(port) && Number(port) > 0 && Number(port) < 65536)) return null
    return {
      user: gs2.authzid,
      auth,
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port: Number(port) }),
    }
  })
}

interface Claim extends Pick<TokenCredentials, 'user' | 'host' | 'port'> {
  readonly auth: string
}

function bearer(
  name: TokenCredentials['mechanism'],
  refusal: string,
  rules: NameRules,
  read: (text: string) => Claim | null,
): Mechanism {
  const admit = async (exchange: Exchange, { auth, ...claim }: Claim): Promise<AuthResult> => {
    const token = BEARER.exec(auth)?.[1]
    if (token === undefined) return null
    const identity = claim.user === '' ? { user: '', authzid: '' } : await prepareNames(claim.user, '', rules)
    if (identity === null) return null
    const credentials = withSecret({ mechanism: name, ...claim, user: identity.user }, 'token', token)
    return (await exchange.verify(credentials)) ? identity : null
  }
  return Object.freeze({
    name,
    async authenticate(exchange: Exchange): Promise<AuthResult> {
      const claim = read(readText(exchange.initial ?? (await exchange.challenge(''))) ?? '')
      if (claim === null) throw malformed(name)
      const identity = await admit(exchange, claim)
      if (identity === null) await exchange.challenge(refusal) // [RFC 7628 §3.2.3]
      if (!BEARER.test(claim.auth)) throw new SmtpError(NOTHING_SHOWN)
      return identity
    },
  })
}

/** The pairs between 0x01 and 0x01 0x01; null if they are malformed or a key is repeated. [RFC 7628 §3.1] */
function readPairs(text: string): ReadonlyMap<string, string> | null {
  const fields = text.split('\x01')
  if (fields.length < 3 || fields.shift() !== '' || fields.pop() !== '' || fields.pop() !== '') return null
  const pairs = new Map<string, string>()
  for (const field of fields) {
    const [, key, value] = /^([A-Za-z]+)=([^]*)$/.exec(field) ?? []
    if (key === undefined || value === undefined || pairs.has(key)) return null
    pairs.set(key, value)
  }
  return pairs
}

function encodeRefusal(refusal: Record<string, string | undefined>): string {
  const json = JSON.stringify(refusal)
  if (Buffer.byteLength(json) > REFUSAL_OCTETS) {
    throw new MailHandlerError(
      'ERR_OPTION',
      `scope and openidConfiguration must fit into ${REFUSAL_OCTETS} octets of JSON`,
    )
  }
  return json
}
