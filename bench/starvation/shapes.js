// What hostile clients send, over and over: `begin` once a connection, then `again` as fast as the server takes it, `size`
// octets a write.

const BEGIN = 'EHLO client.example\r\n'
const MAIL = 'MAIL FROM:<a@client.example>\r\n'
const RCPT = 'RCPT TO:<b@example.org>\r\n'
const DATA = `${MAIL}${RCPT}DATA\r\n`

export const SHAPES = {
  'NOOP, one octet a write': { begin: [BEGIN], again: 'NOOP\r\n', size: 1 },
  'mail data, one octet a write': { begin: [BEGIN, DATA], again: 'a\r\n', size: 1 },
  'a line without an end, one octet a write': { begin: [BEGIN], again: 'x', size: 1 },
  NOOP: { begin: [BEGIN], again: 'NOOP\r\n' },
  HELP: { begin: [BEGIN], again: 'HELP\r\n' },
  VRFY: { begin: [BEGIN], again: 'VRFY x\r\n' },
  'MAIL, RSET': { begin: [BEGIN], again: `${MAIL}RSET\r\n` },
  'RCPT without end': { begin: [BEGIN, MAIL], again: RCPT },
  'RCPT that a hook defers': { begin: [BEGIN, MAIL], again: 'RCPT TO:<later@example.org>\r\n' },
  'unknown commands': { begin: [BEGIN], again: 'XYZZY\r\n' },
  'AUTH garbage': { begin: [BEGIN], again: 'AUTH PLAIN AAAA\r\n' },
  'AUTH, wrong passwords': { begin: [BEGIN], again: 'AUTH PLAIN AGEAYg==\r\n', waits: true },
  'BDAT 1': { begin: [BEGIN, `${MAIL}${RCPT}`], again: 'BDAT 1\r\nx' },
  'BDAT 0': { begin: [BEGIN, `${MAIL}${RCPT}`], again: 'BDAT 0\r\n' },
  'small mails': { begin: [BEGIN], again: `${MAIL}${RCPT}BDAT 1 LAST\r\nx` },
  'mail data, short lines': { begin: [BEGIN, DATA], again: 'a\r\n' },
  'mail data, dots': { begin: [BEGIN, DATA], again: '..\r\n' },
  'mail data, bare LF': { begin: [BEGIN, DATA], again: '\n' },
  'mail data, CR': { begin: [BEGIN, DATA], again: '\r' },
  'connections that say nothing and close': { begin: [], again: '', closes: true },
}
