// Mail data of one shape each, about 4 MiB, whole lines, in chunks of 64 KiB as a socket gives them.

import { randomBytes } from 'node:crypto'

const OCTETS = 4 * 2 ** 20
const CHUNK = 65_536
const HEADER = 'Subject: bench\r\n\r\n'

const base64 = randomBytes(57 * 1024)
  .toString('base64')
  .replaceAll(/.{76}/g, '$&\r\n')
const text = `${'Mail that people write has a dot here and there, and no more. This is such.'.padEnd(76, '!')}\r\n`

const LINES = {
  '78-octet base64': base64,
  '78-octet text': text,
  'a CRLF': 'a\r\n',
  '.. CRLF': '..\r\n',
  '..x… of 80': `..${'x'.repeat(76)}\r\n`,
}

/** Each shape's chunks; `few` are for those that it takes long. */
export const SHAPES = Object.fromEntries(
  Object.entries(LINES).map(([shape, lines]) => [
    shape,
    { chunks: cut(lines, OCTETS), few: cut(lines, Math.max(OCTETS / 16, lines.length)) },
  ]),
)

function cut(lines, octets) {
  const data = Buffer.from(HEADER + lines.repeat(Math.floor(octets / lines.length)))
  const chunks = []
  for (let from = 0; from < data.length; from += CHUNK) chunks.push(data.subarray(from, from + CHUNK))
  return chunks
}
