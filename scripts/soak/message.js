// Mail data of a size: the same bytes for the same id, so that a retry sends the same message.

import { createHash } from 'node:crypto'
import { Random } from './random.js'

const MARK = 'X-Soak-Id: '
const LINES = 2000

/** Lines of random text, some with dots at the start, some with octets over 127; made once. */
const pool = (() => {
  const random = new Random(4711)
  return Array.from({ length: LINES }, () => {
    const line = Buffer.alloc(random.whole(0, 150) + 2)
    const wide = random.chance(0.05)
    for (let i = 0; i < line.length - 2; i++)
      line[i] = wide && random.chance(0.2) ? random.whole(160, 255) : random.whole(33, 126)
    if (random.chance(0.1)) line.fill('.', 0, Math.min(random.whole(1, 3), line.length - 2))
    line.write('\r\n', line.length - 2, 'latin1')
    return line
  })
})()

/** The mail data of this id, about `size` octets. */
export function makeMessage(id, size) {
  const random = new Random(Number.parseInt(createHash('sha256').update(id).digest('hex').slice(0, 8), 16))
  const parts = [Buffer.from(`${MARK}${id}\r\nSubject: soak\r\n\r\n`)]
  for (let length = parts[0].length; length < size; length += parts.at(-1).length) {
    parts.push(pool[random.whole(0, LINES - 1)])
  }
  return Buffer.concat(parts)
}

/**
 * The name of the client in EHLO: an address literal that says which attempt of which message it is. It comes back in the
 * Received field of the gateway, and is no part of what makes two attempts the same message.
 */
export function heloOf(id, attempt) {
  const [sender, number] = id.slice(1).split('-').map(Number)
  return `[IPv6:2001:db8:${sender}:${Math.floor(number / 1000)}:${number % 1000}:${attempt}:1:1]`
}

/** The number of the attempt that a copy is of; NaN if its Received field does not say. */
export function attemptOf(data) {
  const head = data.toString('latin1', 0, Math.max(0, data.indexOf(MARK)))
  return Number(/\bfrom\s+\[IPv6:2001:db8:\d+:\d+:\d+:(\d+):1:1\]\s[^]*?by\s+gateway\.example/.exec(head)?.[1])
}

/** The digest of a message as it arrived: without the fields that servers put before it. Null if it is no such message. */
export function digestOf(data) {
  const start = data.indexOf(MARK)
  if (start === -1 || (start > 0 && data[start - 1] !== 10)) return null
  return createHash('sha256').update(data.subarray(start)).digest('hex')
}

/** Doubles a dot at the start of a line, and adds the end of mail data. [RFC 5321 §4.5.2] */
export function stuffed(data) {
  const parts = []
  let from = 0
  for (let i = 0; i !== -1 && i < data.length; i = nextLine(data, i)) {
    if (data[i] !== 46) continue
    parts.push(data.subarray(from, i), Buffer.from('.'))
    from = i
  }
  return Buffer.concat([...parts, data.subarray(from), Buffer.from('.\r\n')])
}

function nextLine(data, from) {
  const end = data.indexOf(10, from)
  return end === -1 ? -1 : end + 1
}
