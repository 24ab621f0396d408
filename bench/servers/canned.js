// What the floors answer.

export const GREETING = '220 floor ESMTP\r\n'
export const OK = '250 2.0.0 OK\r\n'

const LF = 10
const END_OF_DATA = Buffer.from('\r\n.\r\n')

const REPLIES = new Map([
  ['EHLO', { text: '250-floor\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 52428800\r\n', data: false, ends: false }],
  ['DATA', { text: '354 Go ahead\r\n', data: true, ends: false }],
  ['QUIT', { text: '221 Bye\r\n', data: false, ends: true }],
])
const ANY = { text: OK, data: false, ends: false }

export function cannedReply(line) {
  return REPLIES.get(line.slice(0, 4).toUpperCase()) ?? ANY
}

/** The offset behind CRLF.CRLF, or -1: one native search a chunk. */
export function findEnd(chunk) {
  const found = chunk.indexOf(END_OF_DATA)
  return found === -1 ? cutEnd(chunk) : found + END_OF_DATA.length
}

/** The same with a visit to every LF, as who refuses bare newlines must. */
export function findEndByLines(chunk) {
  for (let lf = chunk.indexOf(LF); lf !== -1; lf = chunk.indexOf(LF, lf + 1)) {
    if (chunk[lf + 1] === 46 && chunk[lf + 2] === 13 && chunk[lf + 3] === LF && chunk[lf - 1] === 13) return lf + 4
  }
  return cutEnd(chunk)
}

/** The end of data cut in two by the network: the client waits behind it, so the rest is all there is. */
function cutEnd(chunk) {
  return chunk.length < END_OF_DATA.length && END_OF_DATA.subarray(-chunk.length).equals(chunk) ? chunk.length : -1
}
