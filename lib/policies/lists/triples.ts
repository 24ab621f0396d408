// Triples: a client, a sender and a recipient, that pass together.

import type { Mailbox } from '../../protocol/addresses/mailbox.ts'
import { show, wrong } from '../../words/option-checks.ts'
import { addressList } from './address-list.ts'
import { clientList, nameList } from './client-list.ts'

type Address = Pick<Mailbox, 'localPart' | 'domain'>

/** What a triple is compared with. */
export interface TripleFacts {
  readonly address: string | null
  /** The confirmed name of the client. */
  readonly name: string | null
  readonly helo: string | null
  readonly sender: Address
  readonly recipient: Address
}

/** A set of triples. */
export interface TripleList {
  has(facts: TripleFacts): boolean
}

type Test = (facts: TripleFacts) => boolean

/** What a line of three is made of, in words and as tests of its fields. */
interface Kind {
  readonly form: string
  readonly tests: readonly ((list: string, field: string) => Test)[]
}

const client = (list: string, field: string): Test => {
  const clients = clientList(list, [field])
  return ({ address, name }) => clients.hasAddress(address) || clients.hasName(name)
}
const helo = (list: string, field: string): Test => {
  const names = nameList(list, [field])
  return ({ helo }) => helo !== null && names.has(helo)
}
const sender = (list: string, field: string): Test => {
  const senders = addressList(list, [field])
  return facts => senders.has(facts.sender)
}
const recipient = (list: string, field: string): Test => {
  const recipients = addressList(list, [field])
  return facts => recipients.has(facts.recipient)
}

/** A client, a sender, a recipient. */
export const TRIPLE: Kind = { form: 'a client, a sender and a recipient', tests: [client, sender, recipient] }
/** A HELO name, a client, a recipient: for senders whose servers have many addresses and one name. */
export const NONSTANDARD_TRIPLE: Kind = {
  form: 'a HELO name, a client and a recipient',
  tests: [helo, client, recipient],
}

/**
 * A list of lines of three fields with blanks between them; `*` stands for any. Throws `ERR_OPTION`, naming the line and the
 * list.
 */
export function tripleList(list: string, { form, tests }: Kind, entries: Iterable<string>): TripleList {
  const triples: (readonly Test[])[] = []
  for (const entry of entries) {
    const fields = typeof entry === 'string' ? entry.trim().split(/\s+/) : []
    if (fields.length !== tests.length) throw wrong(`${list}: ${show(entry)} is not ${form}`)
    triples.push(fields.flatMap((field, i) => (field === '*' ? [] : [tests[i]!(list, field)])))
  }
  return { has: facts => triples.some(triple => triple.every(test => test(facts))) }
}
