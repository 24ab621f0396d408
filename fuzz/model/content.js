// What a message is, from the octets that the client sent: RFC 5321 §4.5.2 (transparency), §2.3.8 (line ends), and what
// docs/smtp.md promises for bare CR and LF. Texts are Latin-1: a character is an octet. Nothing of lib/ is used here.

/** The offset behind CRLF.CRLF in what follows DATA's 354; -1 if it has not come. */
export function endOfData(text) {
  const at = `\r\n${text}`.indexOf('\r\n.\r\n')
  return at === -1 ? -1 : at + 3
}

const unstuff = text => text.replaceAll(/(^|\r\n)\./g, '$1')

/** The content as a delivery gets it. `wire` is without the end of data. */
export function contentOf(wire, { counted, bareNewline }) {
  if (bareNewline === 'normalize') return counted ? spaces(wire) : normalize(wire)
  return counted ? wire : unstuff(wire)
}

function spaces(text) {
  return text.replaceAll(/\r*\n|\r/g, end => (end.endsWith('\n') ? '\r\n' : ' '))
}

function normalize(wire) {
  let content = ''
  let isBehindCrlf = true
  for (const line of wire.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    const end = /\r*\n$/.exec(line)?.[0] ?? ''
    let text = line.slice(0, line.length - end.length)
    if (text.startsWith('.') && (isBehindCrlf || text[1] === '.')) text = text.slice(1)
    content += text.replaceAll('\r', ' ') + (end === '' ? '' : '\r\n')
    isBehindCrlf = end !== '\n'
  }
  return content
}

/**
 * Why the message is refused whatever its consumer says, the first offence by position: `bare`, `size`, `header`; null if
 * nothing is wrong with it. `ended`: no octet follows, so a CR at the end is bare.
 */
export function offenceOf(wire, { counted, bareNewline, size, header, ended }) {
  const offences = []
  if (bareNewline === 'reject') {
    const text = ended && !counted ? `${wire}.` : wire
    const at = text.search(/(?<!\r)\n|\r(?!\n|$)/)
    const last = ended && counted && at === -1 && wire.endsWith('\r') ? wire.length - 1 : at
    if (last !== -1) offences.push({ at: contentOf(wire.slice(0, last), { counted, bareNewline }).length, why: 'bare' })
  }
  const content = contentOf(wire, { counted, bareNewline })
  if (size > 0 && content.length > size) offences.push({ at: size + 0.5, why: 'size' })
  if (header < (size > 0 ? size : Infinity) && headerLength(content, bareNewline) > header) {
    offences.push({ at: header + 0.5, why: 'header' })
  }
  offences.sort((a, b) => a.at - b.at)
  return offences[0]?.why ?? null
}

/** Octets before the first empty line. [RFC 5322 §2.1] */
function headerLength(content, bareNewline) {
  const at = `\n${content}`.search(bareNewline === 'allow' ? /\n\r?\n/ : /\n\r\n/)
  return at === -1 ? content.length : at
}

/** The reply code of an offence. */
export const OFFENCES = { bare: 550, size: 552, header: 552 }

/** True if a server that takes any line end for one would see an end of data in what a relay passes on. */
export function looksLikeTwo(raw) {
  return /(?:^|\r\n|\r|\n)\.(?:\r\n|\r|\n)/.test(raw) || /\r(?!\n)|(?<!\r)\n/.test(raw)
}

/** Raw content back to content. */
export const unstuffed = unstuff
