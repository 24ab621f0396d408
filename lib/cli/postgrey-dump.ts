// What Debian's `db5.3_dump -p` prints of postgrey.db and postgrey_clients.db → entries for a store.
//
//   192.0.2.0/anna@example.net/bob@example.org ─ 1795000000,1795000300   a triplet: first and last attempt, in seconds
//   192.0.2.11                                 ─ 2,1795007700            a client: accepted messages, the last of them

import { isIP } from 'node:net'
import { parseMailbox, type Mailbox } from '../protocol/addresses/mailbox.ts'
import { addressKeys, type AllowBy } from '../policies/greylist/allow-by.ts'
import type { GreylistRules } from '../stores/rules.ts'
import type { NewClient, NewTriplet } from '../stores/store.ts'
import { foldRecipient, foldSender } from '../policies/greylist/fold-sender.ts'

const GRAMMAR = { utf8: true, strictness: 'lenient' } as const
const NOBODY = { localPart: '', domain: '' } as const

/** True for the text of a dump. */
export function isPostgreyDump(text: string): boolean {
  return /^VERSION=\d+\r?\n(?:.*\n)*?type=/.test(text)
}

/** How postgrey's entries become those of a store. */
export interface PostgreyOptions {
  readonly rules: GreylistRules
  /** Whether a client that postgrey counted gets past greylisting with its network. */
  readonly allowBy: AllowBy
}

/** The entries of a dump; null for one that cannot be read, such as those that `--privacy` has made digests of. */
export function* readPostgrey(
  text: string,
  { rules, allowBy }: PostgreyOptions,
): Generator<NewTriplet | NewClient | null> {
  const lines = text.split(/\r?\n/)
  const start = lines.indexOf('HEADER=END') + 1
  const end = lines.indexOf('DATA=END', start)
  for (let i = start; i + 1 < (end < 0 ? lines.length : end); i += 2) {
    yield readPair(unescape(lines[i]!), unescape(lines[i + 1]!), { rules, allowBy })
  }
}

function readPair(key: string, value: string, { rules, allowBy }: PostgreyOptions): NewTriplet | NewClient | null {
  const [, a, b] = /^(\d+),(\d+)(?:,|$)/.exec(value) ?? []
  const slash = key.indexOf('/')
  const address = slash < 0 ? key : key.slice(0, slash)
  if (a === undefined || b === undefined || isIP(address) === 0) return null
  const keys = addressKeys(address, allowBy)
  const last = Number(b) * 1000
  if (slash < 0) return { kind: 'client', client: keys.at(-1)!, passes: Number(a), last, expires: last + rules.life }
  const addresses = readAddresses(key.slice(slash + 1))
  const first = Number(a) * 1000
  if (addresses === null || first > last) return null
  // How long it has waited is not kept: at least the delay.
  const hasPassed = last - first >= rules.delay
  return {
    kind: 'triplet',
    client: keys[0]!,
    ...addresses,
    first,
    last,
    expires: hasPassed ? last + rules.life : first + rules.window,
    attempts: last === first ? 1 : 2,
    waited: hasPassed ? rules.delay : null,
    reason: 'postgrey',
  }
}

/** `anna@example.net/bob@example.org`; local parts may have slashes, the domain of the sender has none. */
function readAddresses(text: string): { readonly sender: string; readonly recipient: string } | null {
  const [, from = '', to = ''] = /^((?:[^@]*@[^/]*)?)\/(.+)$/.exec(text) ?? []
  const sender = from === '' ? NOBODY : parse(from)
  const recipient = parse(to)
  if (sender === null || recipient === null) return null
  return { sender: foldSender(sender), recipient: foldRecipient(recipient) }
}

function parse(text: string): Mailbox | null {
  const parsed = parseMailbox(text, GRAMMAR)
  return parsed.ok ? parsed.mailbox : null
}

/** A line of a dump: a blank, then octets, some of them as `\\` and two digits. */
function unescape(line: string): string {
  const octets = line.slice(1).replaceAll(/\\(\\|[\da-f]{2})/g, (_, code: string) => {
    return code === '\\' ? code : String.fromCharCode(Number.parseInt(code, 16))
  })
  return Buffer.from(octets, 'latin1').toString('utf8')
}
