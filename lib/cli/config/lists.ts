// The table [lists].

import { addressList } from '../../policies/lists/address-list.ts'
import { clientList } from '../../policies/lists/client-list.ts'
import { NONSTANDARD_TRIPLE, TRIPLE, tripleList } from '../../policies/lists/triples.ts'
import { leaf, list, maybe, table, type Schema } from './leaves.ts'

/** The lists, in the order in which they are asked. */
export const LIST_NAMES = [
  'allowClients',
  'denyClients',
  'allowSenders',
  'denySenders',
  'denyRecipients',
  'triples',
  'nonstandardTriples',
] as const

/** A list of `[lists]`. */
export type ListName = (typeof LIST_NAMES)[number]

/** Which clients, senders and recipients are trusted or refused: `[lists]`. A list has entries, or a file with them. */
export type ListsConfig = { readonly [Name in ListName]?: readonly string[] } & {
  readonly [Name in ListName as `${Name}File`]?: string
}

/** Domains and mailboxes. */
export const addresses: Schema<string[]> = list(
  leaf('a domain, a dot and a domain, or a mailbox', value => {
    if (typeof value !== 'string') return null
    addressList('addresses', [value])
    return value
  }),
  'a list of domains and mailboxes',
)
/** Networks and host names. */
export const clients: Schema<string[]> = list(
  leaf('a network or a host name', value => {
    if (typeof value !== 'string') return null
    clientList('clients', [value])
    return value
  }),
  'a list of networks and host names',
)
const texts = (form: string, kind: Parameters<typeof tripleList>[1]): Schema<string[]> =>
  list(
    leaf(`${form}, with blanks between them`, value => {
      if (typeof value !== 'string') return null
      tripleList('triples', kind, [value])
      return value
    }),
    `a list of texts, each of ${form}`,
  )
/** A client, a sender and a recipient each. */
export const triples: Schema<string[]> = texts(TRIPLE.form, TRIPLE)
/** A HELO name, a client and a recipient each. */
export const nonstandardTriples: Schema<string[]> = texts(NONSTANDARD_TRIPLE.form, NONSTANDARD_TRIPLE)

/** Makes the schema of `[lists]`. */
export function listsTable(file: Schema<string>): Schema<ListsConfig> {
  return table<ListsConfig>({
    allowClients: maybe(clients),
    allowClientsFile: maybe(file),
    denyClients: maybe(clients),
    denyClientsFile: maybe(file),
    allowSenders: maybe(addresses),
    allowSendersFile: maybe(file),
    denySenders: maybe(addresses),
    denySendersFile: maybe(file),
    denyRecipients: maybe(addresses),
    denyRecipientsFile: maybe(file),
    triples: maybe(triples),
    triplesFile: maybe(file),
    nonstandardTriples: maybe(nonstandardTriples),
    nonstandardTriplesFile: maybe(file),
  })
}
