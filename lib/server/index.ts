// mailhandler/server: a server for handlers.

export { createServer, MailServer } from './mail-server.ts'
export type { CloseOptions, HandlerFactory, ServerStats } from './mail-server.ts'
export type { ServerOptions, ServerTimeouts } from './options.ts'
export type { ConnectionInfo } from './connection.ts'
export { connectionChannel } from './diagnostics.ts'
export type { ConnectionEvent, Refusal } from './diagnostics.ts'
export { tlsContexts } from '../tls/tls-contexts.ts'
export type { Certificate, TlsContexts, TlsContextsOptions } from '../tls/tls-contexts.ts'
export type { ProxyEndpoint, ProxyHeader, ProxyTls, ProxyTlv } from '../protocol/proxy/proxy-header.ts'
export { listenDescriptors } from './systemd.ts'
export type { ListenDescriptor } from './systemd.ts'
