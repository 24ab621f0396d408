// mailhandler/server: a server for handlers.
/// <reference types="node" preserve="true" />

export { createServer, MailServer } from './mail-server.ts'
export type { CloseOptions, HandlerFactory, ServerStats } from './mail-server.ts'
export type { ServerOptions } from './options.ts'
export { SERVER_LIMITS, SERVER_TIMEOUTS, type ServerLimits, type ServerTimeouts } from './limits.ts'
export type { ConnectionInfo } from './connection.ts'
export { connectionChannel } from './diagnostics.ts'
export type { ConnectionEvent, Refusal } from './diagnostics.ts'
export type { LimitRefusal } from './client-limits.ts'
export type { ProxyEndpoint, ProxyHeader, ProxyTls, ProxyTlv } from '../protocol/proxy/proxy-header.ts'
export { listenDescriptors } from './systemd.ts'
export type { ListenDescriptor } from './systemd.ts'
