// Numbers of PROXY protocol version 2, as HAProxy's proxy-protocol.txt names them.

/** The first 12 octets. */
export const SIGNATURE: Buffer = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

/** Types of fields: PP2_TYPE_… and PP2_SUBTYPE_SSL_… */
export const FIELD = {
  AUTHORITY: 0x02,
  CRC32C: 0x03,
  NOOP: 0x04,
  UNIQUE_ID: 0x05,
  SSL: 0x20,
  SSL_VERSION: 0x21,
  SSL_CN: 0x22,
  SSL_CIPHER: 0x23,
} as const

/** Bits of the first octet of PP2_TYPE_SSL: PP2_CLIENT_SSL, and PP2_CLIENT_CERT_CONN with PP2_CLIENT_CERT_SESS. */
export const SSL_CLIENT = { SSL: 1, CERTIFICATE: 6 } as const
