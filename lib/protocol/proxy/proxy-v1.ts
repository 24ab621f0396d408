// PROXY protocol version 1: `PROXY TCP4 source destination port port CRLF`, at most 107 octets, single spaces.

import { isIPv4, isIPv6 } from 'node:net'
import { canonicalIp } from '../networks/network.ts'
import type { ProxyHeaderResult } from './proxy-header.ts'

/** What a field may be once it is whole, and while it is incomplete. */
interface Field {
  readonly whole: (text: string) => boolean
  readonly part: RegExp
}

const maxLength = 107
const port: Field = { whole: text => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535, part: /^\d{0,5}$/ }
const v4: Field = { whole: isIPv4, part: /^[\d.]{0,15}$/ }
const v6: Field = { whole: text => isIPv6(text) && !text.includes('%'), part: /^[\da-fA-F:.]{0,45}$/ }
const families: ReadonlyMap<string, readonly Field[]> = new Map([
  ['TCP4', [v4, v4, port, port]],
  ['TCP6', [v6, v6, port, port]],
])

/** Parses a version 1 header; for `parseProxyHeader()`. */
export function parseProxyV1(bytes: Buffer): ProxyHeaderResult {
  const text = bytes.toString('latin1', 0, maxLength)
  const end = text.search(/[\r\n]/)
  const whole = end >= 0 && text.startsWith('\r\n', end)
  if (end >= 0 && !whole && !(text[end] === '\r' && end === text.length - 1)) return invalid('a bare CR or LF')
  const line = end < 0 ? text : text.slice(0, end)
  const complete = end >= 0
  const problem = checkLine(line, complete)
  if (problem !== null) return invalid(problem)
  if (whole) return header(line)
  return text.length >= maxLength ? invalid('longer than 107 octets') : { kind: 'incomplete' }
}

/** Says what is wrong with the line, or with the beginning of one; null if nothing is. */
function checkLine(line: string, complete: boolean): string | null {
  const [keyword = '', family, ...values] = line.split(' ')
  if (family === undefined) return !complete && 'PROXY'.startsWith(keyword) ? null : 'not a PROXY header'
  if (keyword !== 'PROXY') return 'not a PROXY header'
  const familyComplete = complete || values.length > 0
  if (family === 'UNKNOWN') return null // the rest of the line is ignored
  if (!familyComplete)
    return ['TCP4', 'TCP6', 'UNKNOWN'].some(name => name.startsWith(family)) ? null : 'no such family'
  const fields = families.get(family)
  if (fields === undefined) return 'no such family'
  if (values.length > fields.length || (complete && values.length < fields.length)) return 'wrong number of fields'
  const good = values.every((value, i) => {
    const field = fields[i]!
    return complete || i < values.length - 1 ? field.whole(value) : field.part.test(value)
  })
  return good ? null : 'wrong address or port'
}

function header(line: string): ProxyHeaderResult {
  const [, family, source = '', destination = '', sourcePort, destinationPort] = line.split(' ')
  const length = line.length + 2
  if (family === 'UNKNOWN') {
    const unknown = { version: 1, command: 'UNKNOWN', source: null, destination: null, tlvs: [] } as const
    return { kind: 'header', length, header: unknown }
  }
  return {
    kind: 'header',
    length,
    header: {
      version: 1,
      command: 'PROXY',
      source: { address: canonicalIp(source), port: Number(sourcePort) },
      destination: { address: canonicalIp(destination), port: Number(destinationPort) },
      tlvs: [],
    },
  }
}

function invalid(problem: string): ProxyHeaderResult {
  return { kind: 'invalid', problem }
}
