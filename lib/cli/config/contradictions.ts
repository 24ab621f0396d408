// Problems of keys that are right by themselves and contradict each other.

import type { Config, Listener } from './config.ts'
import type { KeyPath } from './locate.ts'
import type { Problem } from './problems.ts'
import { isLoopback, overlaps, type ListenAddress } from './units.ts'

/** Finds the contradictions of a configuration. `problem` makes a Problem of a key. */
export function contradictionsIn(config: Config, problem: (path: KeyPath, what: string) => Problem): Problem[] {
  const { listen, metrics, group, user } = config
  const found: Problem[] = []
  listen.forEach((listener, i) => {
    for (const [key, what] of listenerProblems(config, listener)) found.push(problem(['listen', i, key], what))
    if (listen.slice(0, i).some(({ address }) => overlaps(address, listener.address))) {
      found.push(problem(['listen', i, 'address'], 'another listener has this address'))
    }
  })
  const metricsAt: ListenAddress | undefined = metrics.listen
  if (metricsAt !== undefined && listen.some(({ address }) => overlaps(address, metricsAt))) {
    found.push(problem(['metrics', 'listen'], 'a listener for mail has this address'))
  }
  if (config.auth !== undefined && !listen.some(listener => canOfferAuth(config, listener))) {
    found.push(problem(['auth'], `AUTH can never be offered: ${whyNoAuth(config)}`))
  }
  const { greylist, suspicion } = config
  if (greylist?.redis !== undefined && greylist.salt === undefined) {
    found.push(problem(['greylist', 'redis'], 'needs greylist.salt: the same file on every machine'))
  }
  if (suspicion.reject !== undefined && suspicion.reject <= (suspicion.threshold ?? 3)) {
    found.push(problem(['suspicion', 'reject'], 'it must be above suspicion.threshold'))
  }
  if (group !== undefined && user === undefined) {
    found.push(problem(['group'], 'needs user: a group alone would leave all the rights of the account'))
  }
  return found
}

function listenerProblems(config: Config, listener: Listener): [string, string][] {
  const { tls, auth, recipients } = config
  const found: [string, string][] = []
  if (listener.tls === 'implicit' && tls === undefined) {
    found.push(['tls', '"implicit" needs certificates: tls.cert and tls.key'])
  }
  if (tls?.required === true && !canOfferTls(config, listener)) {
    const why = listener.tls === 'off' ? 'tls = "off"' : 'extensions.STARTTLS is false'
    found.push(['tls', `tls.required is set, but this listener has no TLS: ${why}`])
  }
  if (auth?.required === true && !canOfferAuth(config, listener)) {
    found.push(['address', `auth.required is set, but AUTH can never be offered here: ${whyNoAuth(config)}`])
  }
  if (recipients.domains === undefined && !isLoopback(listener.address)) {
    found.push(['address', 'others can connect here: say in recipients.domains whose mail is accepted, ["*"] for any'])
  }
  return found
}

function canOfferTls({ tls, extensions }: Config, listener: Listener): boolean {
  if (tls === undefined || listener.tls === 'off') return false
  return listener.tls === 'implicit' || extensions.STARTTLS !== false
}

function canOfferAuth(config: Config, listener: Listener): boolean {
  const { auth, extensions } = config
  return extensions.AUTH !== false && (auth?.insecure === true || canOfferTls(config, listener))
}

function whyNoAuth({ extensions, tls }: Config): string {
  if (extensions.AUTH === false) return 'extensions.AUTH is false'
  if (tls === undefined) return 'it needs TLS, and there are no certificates in tls; auth.insecure allows it without'
  return 'it needs TLS, and no TLS is offered; auth.insecure allows it without'
}
