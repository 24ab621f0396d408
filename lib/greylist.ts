// mailhandler/greylist: unknown clients have to come again, and what goes with it.

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
  suspicionKey,
  type Sign,
  type SignName,
  type SpfOutcome,
  type SpfResult,
  type Suspicion,
} from './policies/suspicion/verdict.ts'
