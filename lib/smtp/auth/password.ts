// PLAIN and LOGIN: the password comes in clear, so offer them only under TLS.

import { malformed } from './mechanism.ts'
import type { AuthResult, Exchange, Mechanism, PasswordCredentials } from './mechanism.ts'
import { isSecret, prepareNames, readText, resolveNames, withSecret } from './names.ts'
import type { NameOptions, NameRules } from './names.ts'

/** Makes the PLAIN mechanism: one message of authzid, user and password, separated by NUL. [RFC 4616] */
export function plain(options: NameOptions = {}): Mechanism {
  const rules = resolveNames('plain', options, ['prepare', 'allowAuthzid'])
  return Object.freeze({
    name: 'PLAIN',
    async authenticate(exchange: Exchange): Promise<AuthResult> {
      const message = exchange.initial ?? (await exchange.challenge(''))
      const [authzid = '', user, password, ...rest] = readText(message)?.split('\0') ?? []
      if (rest.length > 0 || !isSecret(user) || !isSecret(password)) throw malformed('PLAIN') // [RFC 4616 §2]
      if (authzid !== '' && !isSecret(authzid)) throw malformed('PLAIN')
      return check(exchange, 'PLAIN', { authzid, user, password }, rules)
    },
  })
}

/**
 * Makes the LOGIN mechanism: it asks for the user, then for the password. It was never standardised, but many clients
 * send it; an initial response is the user. [draft-murchison-sasl-login]
 */
export function login(options: Omit<NameOptions, 'allowAuthzid'> = {}): Mechanism {
  const rules = resolveNames('login', options, ['prepare'])
  return Object.freeze({
    name: 'LOGIN',
    async authenticate(exchange: Exchange): Promise<AuthResult> {
      // Some clients send an empty initial response and wait for the prompt.
      const early = exchange.initial !== null && exchange.initial.length > 0
      const user = readText(early ? exchange.initial : await exchange.challenge('Username:')) ?? ''
      if (!isSecret(user)) throw malformed('LOGIN')
      const password = readText(await exchange.challenge('Password:')) ?? ''
      if (!isSecret(password)) throw malformed('LOGIN')
      return check(exchange, 'LOGIN', { authzid: '', user, password }, rules)
    },
  })
}

interface Claim {
  readonly authzid: string
  readonly user: string
  readonly password: string
}

async function check(
  exchange: Exchange,
  mechanism: PasswordCredentials['mechanism'],
  claim: Claim,
  rules: NameRules,
): Promise<AuthResult> {
  const identity = await prepareNames(claim.user, claim.authzid, rules)
  const password = await rules.prepare(claim.password)
  if (identity === null || password === null) return null
  const credentials = withSecret({ mechanism, ...identity }, 'password', password)
  return (await exchange.verify(credentials)) ? identity : null
}
