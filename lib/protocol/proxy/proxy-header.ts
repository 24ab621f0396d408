// What a PROXY protocol header says: version 1 (a line) and version 2 (binary), as HAProxy's proxy-protocol.txt has them.
// parse-proxy-header.ts reads one, format-proxy-header.ts writes one.

/** One end of the client's connection. */
export interface ProxyEndpoint {
  /** Canonical: IPv4 dotted (also where it came mapped into IPv6), IPv6 by RFC 5952. */
  readonly address: string
  /** 0 to 65535. */
  readonly port: number
}

/** What the proxy says of the client's TLS (PP2_TYPE_SSL). The texts hold no control characters. */
export interface ProxyTls {
  /** As the proxy names it: `TLSv1.3`. */
  readonly version?: string
  /** As the proxy names it: `ECDHE-RSA-AES128-GCM-SHA256` from HAProxy. */
  readonly cipher?: string
  /** The common name of the client's certificate; not to be trusted unless `verified`. */
  readonly cn?: string
  /** True if the client gave a certificate, and the proxy verified it. */
  readonly verified: boolean
}

/** A field of a version 2 header as it came (PP2_TYPE_…), a copy. */
export interface ProxyTlv {
  /** 0 to 255; from 224 on, the proxy's own. [proxy-protocol.txt §2.2] */
  readonly type: number
  /** The octets as they came; what they mean depends on the type. */
  readonly value: Buffer
}

/** A whole, checked header. */
export interface ProxyHeader {
  /** 1: a line of text; 2: binary, the only one with {@link ProxyHeader.tlvs}. */
  readonly version: 1 | 2
  /**
   * `PROXY`: for a client of the proxy; `LOCAL`: from the proxy itself, a health check; `UNKNOWN`: for a client that
   * the proxy cannot name. If `source` is null, the addresses of the connection itself count.
   */
  readonly command: 'PROXY' | 'LOCAL' | 'UNKNOWN'
  /** The client. Null for LOCAL and UNKNOWN, and for a client on a Unix socket of the proxy. */
  readonly source: ProxyEndpoint | null
  /** Where the client connected to; null together with `source`. */
  readonly destination: ProxyEndpoint | null
  /** Absent if the client did not use TLS towards the proxy, or the proxy does not say. */
  readonly tls?: ProxyTls
  /**
   * The server name that the client asked for (SNI), as it came: 1 to 255 octets of UTF-8 without controls and
   * spaces.
   */
  readonly authority?: string
  /** What the proxy calls the connection (PP2_TYPE_UNIQUE_ID), a copy: at most 128 octets. */
  readonly uniqueId?: Buffer
  /** All fields of version 2 but padding and checksum, in order; empty for LOCAL, whose fields are ignored. */
  readonly tlvs: readonly ProxyTlv[]
}

/** What the first octets of a connection are. `problem` is fixed text, without anything of the peer's. */
export type ProxyHeaderResult =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid'; readonly problem: string }
  | { readonly kind: 'header'; readonly length: number; readonly header: ProxyHeader }
