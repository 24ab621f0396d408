// mailhandler/relay: delivery to another mail server, while the client waits.

export { relay, type Relay } from './deliveries/relay/relay.ts'
export type { Probed, UpstreamStats } from './deliveries/relay/upstream.ts'
export type {
  CircuitLimits,
  ClientInfo,
  PoolLimits,
  RelayOptions,
  RelayTimeouts,
  UpstreamOptions,
  UpstreamServer,
} from './deliveries/relay/options.ts'
export { upstreamChannel, type UpstreamEvent } from './deliveries/relay/diagnostics.ts'
