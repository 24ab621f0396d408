// The names that TLS options of Node have: what is not among them is a mistake, and would be ignored.

/** Options of `tls.createSecureContext`. */
export const CONTEXT_NAMES: readonly string[] =
  `allowPartialTrustChain ca cert sigalgs ciphers clientCertEngine crl dhparam ecdhCurve honorCipherOrder key
  privateKeyEngine privateKeyIdentifier maxVersion minVersion passphrase pfx secureOptions secureProtocol
  sessionIdContext ticketKeys sessionTimeout`.split(/\s+/)

/** Options of `tls.TLSSocket` and `tls.createServer`, those of the context among them. */
export const SOCKET_NAMES: readonly string[] = [
  ...CONTEXT_NAMES,
  ...`ALPNProtocols ALPNCallback SNICallback enableTrace handshakeTimeout isServer keepAlive keepAliveInitialDelay
  noDelay pskCallback pskIdentityHint rejectUnauthorized requestCert requestOCSP secureContext server session`.split(
    /\s+/,
  ),
]
