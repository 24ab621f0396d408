// mailhandler/webhook: delivery to a service over HTTP, while the client waits.
/// <reference types="node" preserve="true" />

export { webhook, type Webhook } from './deliveries/webhook/webhook.ts'
export { WEBHOOK_TIMEOUTS, type WebhookOptions, type WebhookTimeouts } from './deliveries/webhook/options.ts'
export type { WebhookEnvelope } from './deliveries/webhook/envelope.ts'
export type { WebhookDigest } from './deliveries/webhook/digest.ts'
