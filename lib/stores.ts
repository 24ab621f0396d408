// mailhandler/stores: what policies remember between sessions. No database is loaded before it is used.
/// <reference types="node" preserve="true" />

export type {
  CallOptions,
  ClientEntry,
  ClientKey,
  EntryBase,
  GreylistDecision,
  GreylistRequest,
  GreylistResult,
  GreylistVerdict,
  NewClient,
  NewTriplet,
  OtherEntry,
  PutEntry,
  Rate,
  RateResult,
  Store,
  StoreEntry,
  StoreStats,
  TripletEntry,
  WallClock,
} from './stores/store.ts'
export { StoreError, type StoreErrorKind } from './stores/store-error.ts'
export { defaultRules, greylistRules, type AutoAllow, type GreylistRules } from './stores/rules.ts'
export { circuitBreaker, type CircuitBreakerOptions } from './stores/circuit-breaker.ts'
export { CallBudget } from './stores/call-deadline.ts'
export { saltFile, type Salt } from './stores/keys.ts'
export type { StoreOptions } from './stores/keyed-store.ts'
export type { StoreLimits } from './stores/limits.ts'
export { memoryStore, type MemoryStoreOptions } from './stores/memory-store.ts'
export { sqliteStore, type SqliteStoreOptions } from './stores/sqlite/sqlite-store.ts'
export { redisStore, type RedisStoreOptions } from './stores/redis/redis-store.ts'
export type { RedisClient, RedisPlace } from './stores/redis/connection.ts'
