// Where messages go: a Maildir, or a relay to an upstream.

import { maildir } from '../deliveries/maildir.ts'
import { probeMaildir } from '../deliveries/probe-maildir.ts'
import { relay, type Relay } from '../deliveries/relay/relay.ts'
import type { RelayOptions } from '../deliveries/relay/options.ts'
import type { KeyPath } from './config/locate.ts'
import type { HeaderFields } from '../protocol/header/header-field.ts'
import type { Delivery } from '../smtp/hooks.ts'
import type { Session } from '../smtp/session.ts'

/** Where messages go. */
export interface Destination {
  /** The delivery, the same for all listeners. */
  readonly delivery: Delivery
  /** Null if messages go to a Maildir. */
  readonly relay: Relay | null
  /** For people: `the Maildir`, `the upstream`. */
  readonly kind: string
  /** For people: the path of the Maildir, or the addresses of the upstream. */
  readonly place: string
  /** For log lines. */
  readonly fields: Readonly<Record<string, unknown>>
  /** The key of the configuration. */
  readonly key: KeyPath
  /** Resolves if messages can be delivered. */
  probe(): Promise<void>
  /** Tells whether a recipient has a mailbox, where each has its own. */
  readonly hasMailbox?: (mailbox: { readonly localPart: string; readonly domain: string }) => Promise<boolean>
  /** Lets go of connections and files; sessions under way go on. */
  close(): void
}

/** What most destinations have in common. */
export const COMMON = { relay: null, close(): void {} } as const

/** Delivers to a Maildir; `header` gives the fields that a message gets. */
export function toMaildir(path: string, header: (session: Session) => HeaderFields): Destination {
  return {
    ...COMMON,
    delivery: maildir<Session>(path, { header }),
    kind: 'the Maildir',
    place: path,
    fields: { maildir: path },
    key: ['maildir'],
    probe: () => probeMaildir(path),
  }
}

/** Passes messages on. Throws `ERR_OPTION`. */
export function toUpstream(options: RelayOptions): Destination {
  const delivery = relay(options)
  const servers = delivery.stats().flatMap(upstream => upstream.servers)
  return {
    delivery,
    relay: delivery,
    kind: 'the upstream',
    place: servers.join(', '),
    fields: { upstream: servers },
    key: ['upstream'],
    close: () => delivery.close(),
    async probe() {
      const found = await delivery.probe()
      const [first] = found
      if (found.every(({ error }) => error !== null)) throw first!.error!
    },
  }
}

/** Gives messages to a delivery of somebody else: of a module, or of the program that has called serve(). */
export function toOther(delivery: Delivery, key: KeyPath, place: string = delivery.name ?? 'delivery'): Destination {
  return {
    ...COMMON,
    delivery,
    kind: 'the delivery',
    place,
    fields: { delivery: place },
    key,
    probe: () => Promise.resolve(),
  }
}
