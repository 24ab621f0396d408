// What a probe of an upstream's server has found: for logs, and for `mailhandler check --connect`.

import type { Probed } from '../deliveries/relay/upstream.ts'
import type { TlsState } from '../tls/tls-state.ts'
import { printable } from '../words/printable.ts'
import { showReply } from './log/session-tally.ts'

const TEXT = 1000

/** The fields of a log line, and what is wrong in words; null if the server can be used. */
export function describeProbe(probed: Probed): {
  readonly fields: Readonly<Record<string, unknown>> & { readonly code?: string; readonly step?: string }
  readonly trouble: string | null
} {
  const { upstream, tls, error, milliseconds } = probed
  const fields = { upstream, ms: Math.round(milliseconds) }
  if (error !== null) {
    const { code, step, reply, message } = error
    const trouble = reply === null ? printable(message) : `${step} was answered ${showReply(reply)}`
    return { fields: { ...fields, code, step }, trouble }
  }
  const layer = tls === null ? {} : { tls: tls.version, cipher: tls.cipher }
  return { fields: { ...fields, ...layer, offers: offered(probed) }, trouble: null }
}

/** One line about a server that can be used. */
export function describeOffer(probed: Probed): string {
  const { upstream, tls, milliseconds } = probed
  const layer = tls === null ? 'in clear' : describeTls(tls)
  const offers = offered(probed).join(', ')
  return `${upstream}: open in ${Math.round(milliseconds)} ms, ${layer}; offers ${offers === '' ? 'nothing' : offers}`
}

function describeTls({ version, cipher, authorized, authorizationError }: TlsState): string {
  const certificate = authorized
    ? 'a valid certificate'
    : `a certificate that nobody vouches for (${authorizationError})`
  return `${version} with ${cipher} and ${certificate}`
}

function offered({ offer }: Probed): string[] {
  const all = [...(offer?.extensions ?? [])]
  return all.map(([name, parameters]) => printable([name, ...parameters].join(' '), TEXT))
}
