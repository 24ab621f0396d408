// mailhandler/relay: delivery to another mail server, while the client waits.
/// <reference types="node" preserve="true" />

export { RELAY_CIRCUIT, RELAY_POOL, RELAY_TIMEOUTS } from './deliveries/relay/resolve-options.ts'
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
export { verifyRecipients, type VerifyRecipients } from './policies/verify-recipients/verify-recipients.ts'
export type {
  RecipientVerifier,
  UnknownRecipientLimits,
  VerifyCache,
  VerifyQuestion,
  VerifyRecipientsOptions,
} from './policies/verify-recipients/options.ts'
