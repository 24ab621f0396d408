// One sender, many addresses: what a mailing system changes from message to message is folded away, so that the sender
// of a retry, and of the next message, is the sender of the first attempt.

import { canonicalDomain } from '../../protocol/addresses/domain.ts'
import { unquoteLocalPart } from '../../protocol/addresses/local-part.ts'
import type { Mailbox } from '../../protocol/addresses/mailbox.ts'

type Address = Pick<Mailbox, 'localPart' | 'domain'>

/** The tag of BATV: the number of a key, a day of three digits, six digits of a digest. [draft-levine-smtp-batv-01 §4.1] */
const BATV_TAG = /^\d{4}[0-9a-f]{6}$/
/** `prvs=tag=local`, and forms of it that are in use: `prvs=local=tag`, `msprvs1=tag=local`, `btv1==tag==local`. */
const BATV = /^(?:(?:ms)?prvs\d?=([^=]+)=(.+)|btv1==[^=]+==(.+))$/
/** `SRS0=hash=day=domain=local` and `SRS1=hash=domain==hash=day=domain=local`; `-` and `+` may stand behind SRS0 and SRS1. */
const SRS0 = /^srs0[=+-][^=]+=[^=]+=([^=]+=.+)$/
const SRS1 = /^srs1[=+-][^=]+=([^=]+)==[^=]+=[^=]+=([^=]+=.+)$/
/** A recipient at the end, its `@` written as `=`: `bounce-anna=example.org`. */
const VERP = /(?<=[-+._=])[^-+=]+=[a-z0-9-]+(?:\.[a-z0-9-]+)+$/
/** A number, or eight and more hexadecimal digits with at least one number: of an issue, a list, a message. */
const COUNTER = /(?<![a-z0-9])(?:\d+|(?=[a-f]*\d)[0-9a-f]{8,})(?![a-z0-9])/g

/**
 * The sender by which greylisting knows an attempt; `''` for `<>`. In lower case; without the tag of BATV, the hash and day
 * of SRS, a recipient that is encoded in it (VERP), and `+extension`; each number in it is `#`.
 */
export function foldSender({ localPart, domain }: Address): string {
  if (localPart === '') return ''
  const local = withoutSrs(withoutBatv(unquoteLocalPart(localPart).toLowerCase()))
  const folded = withoutExtension(local.replace(VERP, '#')).replaceAll(COUNTER, '#')
  return `${folded}@${canonicalDomain(domain)}`
}

/** The recipient by which greylisting knows an attempt: in lower case. The envelope keeps it as it came. */
export function foldRecipient({ localPart, domain }: Address): string {
  const local = unquoteLocalPart(localPart).toLowerCase()
  return domain === '' ? local : `${local}@${canonicalDomain(domain)}`
}

function withoutBatv(local: string): string {
  const [, first, second, third] = BATV.exec(local) ?? []
  if (first === undefined) return third ?? local
  return second !== undefined && BATV_TAG.test(second) ? first : (second ?? local)
}

function withoutSrs(local: string): string {
  const [, again, inner] = SRS1.exec(local) ?? []
  if (again !== undefined) return `srs1=${again}==${inner}`
  const [, origin] = SRS0.exec(local) ?? []
  return origin === undefined ? local : `srs0=${origin}`
}

function withoutExtension(local: string): string {
  const plus = local.indexOf('+')
  return plus > 0 ? local.slice(0, plus) : local
}
