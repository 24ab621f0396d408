// Headers of the PROXY protocol, as octets in Latin-1: those that a server takes, and those that end the connection.
// [HAProxy proxy-protocol.txt 2.1, 2.2]

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'
const IPV4 = '\x7f\0\0\x01\x7f\0\0\x01\x04\x01\0\x19'

export const GOOD = [
  'PROXY TCP4 127.0.0.1 127.0.0.1 1025 25\r\n',
  'PROXY TCP4 127.0.0.1 127.0.0.2 65535 25\r\n',
  'PROXY UNKNOWN\r\n',
  'PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n',
  `${SIGNATURE}\x21\x11\0\x0c${IPV4}`,
  `${SIGNATURE}\x20\0\0\0`,
  `${SIGNATURE}\x20\x11\0\x0c${IPV4}`,
  `${SIGNATURE}\x21\x11\0\x10${IPV4}\x04\0\x01x`,
]

export const BAD = [
  'EHLO client.example\r\n',
  'PROXY TCP4 999.0.0.1 127.0.0.1 1025 25\r\n',
  'PROXY TCP4 127.0.0.1 127.0.0.1 1025 70000\r\n',
  'PROXY TCP4 127.0.0.1 127.0.0.1 1025 25 \r\n',
  'PROXY TCP4 ::1 ::1 1025 25\r\n',
  'PROXY TCP6 127.0.0.1 127.0.0.1 1025 25\r\n',
  'PROXY TCP4 127.0.0.01 127.0.0.1 1025 25\r\n',
  'PROXY TCP4 127.0.0.1 127.0.0.1 01025 25\r\n',
  'PROXY  TCP4 127.0.0.1 127.0.0.1 1025 25\r\n',
  'PROXY TCP4 127.0.0.1 127.0.0.1 1025 25\n\r\n',
  `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`,
  'proxy TCP4 127.0.0.1 127.0.0.1 1025 25\r\n',
  `${SIGNATURE}\x11\x11\0\x0c${IPV4}`,
  `${SIGNATURE}\x22\x11\0\x0c${IPV4}`,
  `${SIGNATURE}\x21\x11\0\x04\x7f\0\0\x01`,
  `${SIGNATURE}\x21\x11\0\x0e${IPV4}\x04\xff`,
]
