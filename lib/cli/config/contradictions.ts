// Problems of keys that are right by themselves and contradict each other.

import type { Config, Listener } from './config.ts'
import { snakeCase } from './leaves.ts'
import { LIST_NAMES } from './lists.ts'
import type { KeyPath } from './locate.ts'
import type { Problem } from './problems.ts'
import { statusProblems } from './status.ts'
import { isLoopback, overlaps, type ListenAddress } from './units.ts'
import { DEFAULT_MAILDIR } from './schema.ts'
import { passesOn, type UpstreamConfig } from './upstream.ts'

/** Finds the contradictions of a configuration. `problem` makes a Problem of a key; `maildir` is what was given for it. */
export function contradictionsIn(
  config: Config,
  problem: (path: KeyPath, what: string) => Problem,
  maildir: unknown,
): Problem[] {
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
  const { greylist, suspicion, lists } = config
  if (greylist?.redis !== undefined && greylist.salt === undefined) {
    found.push(problem(['greylist', 'redis'], 'needs greylist.salt: the same file on every machine'))
  }
  if (suspicion.reject !== undefined && suspicion.reject <= (suspicion.threshold ?? 3)) {
    found.push(problem(['suspicion', 'reject'], 'it must be above suspicion.threshold'))
  }
  for (const name of LIST_NAMES) {
    if (lists[name] === undefined || lists[`${name}File`] === undefined) continue
    found.push(problem(['lists', snakeCase(`${name}File`)], `${snakeCase(name)} is set too: set one of them`))
  }
  if (typeof maildir === 'string' && maildir.includes('{')) {
    found.push(
      problem(['maildir'], 'it is one Maildir for all: a path by recipient is the key maildir of the table [delivery]'),
    )
  }
  if (passesOn(config) && maildir !== undefined && maildir !== DEFAULT_MAILDIR) {
    found.push(problem(['maildir'], 'messages go to the upstream, and none to a Maildir: remove this key'))
  }
  const tables = [statusProblems(config.status, metrics.listen), deliveryProblems(config), upstreamProblems(config)]
  for (const [path, what] of tables.flat()) found.push(problem(path, what))
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
  // With an upstream that is a problem on every listener, told once.
  if (recipients.domains === undefined && !passesOn(config) && !isLoopback(listener.address)) {
    found.push(['address', 'others can connect here: say in recipients.domains whose mail is accepted, ["*"] for any'])
  }
  return found
}

function deliveryProblems({ delivery, upstream, routes }: Config): [KeyPath, string][] {
  if (delivery === undefined) return []
  const ways = (['maildir', 'webhook', 'module'] as const).filter(key => delivery[key] !== undefined)
  const found: [KeyPath, string][] = []
  if (ways.length === 0) found.push([['delivery'], 'needs one of maildir, webhook and module'])
  for (const way of ways.slice(1)) found.push([['delivery', way], `${ways[0]!} is set too: set one of them`])
  if (passesOn({ upstream, routes })) found.push([['delivery'], 'mail is passed on to an upstream: set one of them'])
  for (const key of ['recipientsFile', 'separator', 'most'] as const) {
    if (delivery[key] !== undefined && delivery.maildir === undefined) {
      found.push([['delivery', snakeCase(key)], 'is for maildir alone'])
    }
  }
  if (delivery.options !== undefined && delivery.module === undefined) {
    found.push([['delivery', 'options'], 'is for module alone'])
  }
  return found
}

function upstreamProblems(config: Config): [KeyPath, string][] {
  const { upstream, routes = [], verifyRecipients, recipients, auth } = config
  const table: KeyPath = upstream === undefined ? ['routes', 0] : ['upstream']
  if (!passesOn(config)) {
    return verifyRecipients === undefined ? [] : [[['verify_recipients'], 'needs an upstream that can be asked']]
  }
  const found: [KeyPath, string][] = []
  if (recipients.domains === undefined && auth?.required !== true) {
    const what = 'whoever can connect could send anywhere through it: say in recipients.domains whose mail is passed on'
    found.push([table, `${what}, ["*"] for any, or set auth.required`])
  }
  if (upstream !== undefined) {
    if (upstream.address === undefined && routes.length === 0) found.push([['upstream', 'address'], 'is missing'])
    found.push(...serverProblems(['upstream'], upstream))
  }
  const named = new Set<string>()
  routes.forEach((route, i) => {
    if (route.address === undefined) found.push([['routes', i, 'address'], 'is missing'])
    found.push(...serverProblems(['routes', i], route))
    route.domains.forEach((domain, j) => {
      const isAll = domain === '*' && upstream?.address !== undefined
      if (isAll) found.push([['routes', i, 'domains', j], '"*" is what upstream.address is for'])
      else if (named.has(domain)) found.push([['routes', i, 'domains', j], 'another route is for it'])
      named.add(domain)
    })
  })
  return found
}

function serverProblems(path: KeyPath, { address, weights, auth, tls }: UpstreamConfig): [KeyPath, string][] {
  const found: [KeyPath, string][] = []
  if (weights !== undefined && weights.length !== address?.length) {
    found.push([[...path, 'weights'], 'needs a number for each address'])
  }
  if (auth !== undefined && (auth.passwordFile === undefined) === (auth.tokenFile === undefined)) {
    found.push([[...path, 'auth'], 'needs password_file or token_file'])
  }
  if ((tls?.cert === undefined) !== (tls?.key === undefined)) {
    found.push([[...path, 'tls'], 'a certificate needs its key: cert and key'])
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
