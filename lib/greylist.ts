// mailhandler/greylist: which clients have to wait.

export {
  suspicionKey,
  type Sign,
  type SignName,
  type SpfOutcome,
  type SpfResult,
  type Suspicion,
} from './policies/suspicion/verdict.ts'
