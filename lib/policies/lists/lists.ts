// Policies over lists: whom to trust, whom to refuse.

import { hostName } from '../../dns/host-name.ts'
import type { DnsResolver } from '../../dns/resolver.ts'
import type { Recipient, Sender } from '../../smtp/envelope.ts'
import type { Policy } from '../../smtp/hooks.ts'
import type { Session, SessionInTransaction } from '../../smtp/session.ts'
import { checkKeys } from '../../words/option-checks.ts'
import { reply, type Reply } from '../../words/reply.ts'
import { suspicionKey } from '../suspicion/verdict.ts'
import { addressList } from './address-list.ts'
import { clientList, type ClientList } from './client-list.ts'
import { liveList, type ListSource, type LiveList } from './list-source.ts'
import { NONSTANDARD_TRIPLE, TRIPLE, tripleList } from './triples.ts'

/** A policy over a list. */
export interface ListPolicy extends Policy {
  /** What logs and metrics call it. */
  readonly name: string
  /** Ends watching the file of the list, if it has one. */
  close(): void
}

/** Options of lists of clients. */
export interface ClientListOptions {
  /**
   * Looks up the names of clients, if the list has names and no policy before has done so.
   * @defaultValue none: `suspicion()` or a trusted proxy tells the name
   */
  readonly resolver?: DnsResolver | undefined
}

const CLIENT_DENIED = reply(554, '5.7.1', 'Your host is not welcome here')
const DENIED_LATER = reply(550, '5.7.1', 'Your host is not welcome here')
const SENDER_DENIED = reply(550, '5.7.1', 'The sender is not welcome here')
const RECIPIENT_DENIED = reply(550, '5.7.1', 'The recipient takes no mail from outside')

/**
 * Trusts clients: the policies behind leave them alone. Entries are networks and addresses, `192.0.2.0/24`, `2001:db8::1`, and
 * confirmed names, `mx.example.org`, `*.example.org` for all below. They do not become allowed to send mail for other
 * domains. A client is trusted from its greeting on by its address, from its first RCPT on by its name. Throws
 * `ERR_OPTION`.
 */
export function allowClients(source: ListSource, options: ClientListOptions = {}): ListPolicy {
  const { list, nameOf } = clients('allowClients', source, options)
  const trust = (session: Session): void => void (session.trusted ??= 'allowClients')
  return {
    name: 'allowClients',
    onConnect(session) {
      if (list.current.hasAddress(session.client.address)) trust(session)
    },
    onRcptTo: (_, session) =>
      nameOf(session, name => {
        if (isListed(list.current, session, name)) trust(session)
      }),
    close: () => list.close(),
  }
}

/**
 * Refuses clients, listed as for {@link allowClients}: 554 5.7.1 before the greeting by their address, 550 5.7.1 at RCPT by
 * their name. Not a client that is trusted. Throws `ERR_OPTION`.
 */
export function denyClients(source: ListSource, options: ClientListOptions = {}): ListPolicy {
  const { list, nameOf } = clients('denyClients', source, options)
  return {
    name: 'denyClients',
    onConnect({ trusted, client }) {
      if (trusted === null && list.current.hasAddress(client.address)) return CLIENT_DENIED
    },
    onRcptTo: (_, session) =>
      nameOf(session, name => {
        if (session.trusted === null && isListed(list.current, session, name)) return DENIED_LATER
      }),
    close: () => list.close(),
  }
}

/**
 * Trusts the recipients of these senders: the policies behind leave them alone. A sender can be forged. Entries are
 * `example.org`, `.example.org` for all below it, `anna@example.org`, `abuse@` in any domain. Throws `ERR_OPTION`.
 */
export function allowSenders(source: ListSource): ListPolicy {
  const list = liveList('allowSenders', source, entries => addressList('allowSenders', entries))
  return {
    name: 'allowSenders',
    onRcptTo(recipient, { envelope }) {
      if (list.current.has(envelope.sender)) recipient.trusted ??= 'allowSenders'
    },
    close: () => list.close(),
  }
}

/** Refuses senders, listed as for {@link allowSenders}, with 550 5.7.1; not those of a trusted client. Throws `ERR_OPTION`. */
export function denySenders(source: ListSource): ListPolicy {
  const list = liveList('denySenders', source, entries => addressList('denySenders', entries))
  return {
    name: 'denySenders',
    onMailFrom(sender: Sender, { trusted }) {
      if (trusted === null && list.current.has(sender)) return SENDER_DENIED
    },
    close: () => list.close(),
  }
}

/**
 * Refuses recipients, listed as for {@link allowSenders}, with 550 5.7.1, to clients that are neither trusted nor
 * authenticated: for mailboxes of the house. Throws `ERR_OPTION`.
 */
export function denyRecipients(source: ListSource): ListPolicy {
  const list = liveList('denyRecipients', source, entries => addressList('denyRecipients', entries))
  return {
    name: 'denyRecipients',
    onRcptTo(recipient, { trusted, user }) {
      if (trusted === null && user === null && list.current.has(recipient)) return RECIPIENT_DENIED
    },
    close: () => list.close(),
  }
}

/** Triples, as Kamaelia Grey has them. */
export interface TripleOptions {
  /** Lines of a client, a sender and a recipient: `192.0.2.0/24 anna@example.net bob@example.org`. `*` stands for any. */
  readonly triples?: ListSource | undefined
  /**
   * Lines of a HELO name, a client and a recipient, for senders whose servers have many addresses:
   * `*.example.net 192.0.2.0/24 bob@example.org`.
   */
  readonly nonstandard?: ListSource | undefined
}

/** Trusts a recipient for a client and a sender, or for a HELO name and a client. Throws `ERR_OPTION`. */
export function allowTriples(options: TripleOptions): ListPolicy {
  checkKeys('', options, ['triples', 'nonstandard'])
  const { triples = [], nonstandard = [] } = options
  const lists = [
    liveList('triples', triples, entries => tripleList('triples', TRIPLE, entries)),
    liveList('nonstandard', nonstandard, entries => tripleList('nonstandard', NONSTANDARD_TRIPLE, entries)),
  ]
  return {
    name: 'allowTriples',
    onRcptTo(recipient: Recipient, session: SessionInTransaction) {
      const { client, helo, envelope } = session
      const facts = { address: client.address, name: confirmedName(session), helo, sender: envelope.sender, recipient }
      if (lists.some(({ current }) => current.has(facts))) recipient.trusted ??= 'allowTriples'
    },
    close: () => lists.forEach(list => list.close()),
  }
}

type Then = (name: string | null) => Reply | void

/** The list, and how to get at the name of a client: at once if it is known, or not asked for. */
function clients(
  name: string,
  source: ListSource,
  options: ClientListOptions,
): {
  readonly list: LiveList<ClientList>
  readonly nameOf: (session: Session, then: Then) => Promise<Reply | void> | Reply | void
} {
  checkKeys('', options, ['resolver'])
  const { resolver } = options
  const list = liveList(name, source, entries => clientList(name, entries))
  const nameOf = (session: Session, then: Then): Promise<Reply | void> | Reply | void => {
    const known = confirmedName(session)
    const { address } = session.client
    if (known !== null || resolver === undefined || address === null || !list.current.hasNames) return then(known)
    return hostName(resolver, address).then(found => then(found.kind === 'confirmed' ? found.name : null))
  }
  return { list, nameOf }
}

/** The name of a client that points back to its address, as a policy or a proxy has told it. */
function confirmedName({ client, notes }: Session): string | null {
  return notes.get(suspicionKey)?.hostName ?? client.name
}

function isListed(list: ClientList, { client }: Session, name: string | null): boolean {
  return list.hasAddress(client.address) || list.hasName(name)
}
