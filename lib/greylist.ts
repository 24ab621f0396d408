// mailhandler/greylist: unknown clients have to come again, and what goes with it.
/// <reference types="node" preserve="true" />

export { greylist, type Greylist } from './policies/greylist/greylist.ts'
export type { GreylistOptions, GreylistScope } from './policies/greylist/options.ts'
export type { GreylistPreset } from './policies/greylist/presets.ts'
export {
  greylistKey,
  type GreylistExemption,
  type Greylisting,
  type RecipientDecision,
} from './policies/greylist/decisions.ts'
export {
  greylistChannel,
  type GreylistDecidedEvent,
  type GreylistEvent,
  type GreylistFailedEvent,
} from './policies/greylist/diagnostics.ts'
export { greylistFields } from './policies/greylist/header.ts'
export {
  allowClients,
  allowSenders,
  allowTriples,
  denyClients,
  denyRecipients,
  denySenders,
  type ClientListOptions,
  type ListPolicy,
  type TripleOptions,
} from './policies/lists/lists.ts'
export {
  knownCorrespondents,
  knownCorrespondentsKey,
  type KnownCorrespondentsOptions,
} from './policies/known-correspondents.ts'
export { rateLimit, type RateLimit, type RateLimitOptions } from './policies/rate-limit.ts'
export type { NetworkPrefixes } from './protocol/networks/network.ts'
export { sharedGuesses } from './policies/shared-guesses.ts'
export { storeFailureChannel, type StoreFailureEvent } from './policies/diagnostics.ts'
export type { ListFile, ListSource } from './policies/lists/list-source.ts'
export {
  suspicionKey,
  type Sign,
  type SignName,
  type SpfOutcome,
  type SpfResult,
  type Suspicion,
} from './policies/suspicion/verdict.ts'
export { suspicion, type SuspicionPolicy } from './policies/suspicion/suspicion.ts'
export type { SuspicionOptions } from './policies/suspicion/options.ts'
export { SUSPICION_WEIGHTS, type SuspicionWeights } from './policies/suspicion/weights.ts'
export { suspicionChannel, type SuspicionEvent } from './policies/suspicion/diagnostics.ts'
export { mailauthSpf, type MailauthSpfOptions } from './policies/suspicion/mailauth-spf.ts'
export type { SpfCheck, SpfRequest } from './policies/suspicion/spf.ts'
