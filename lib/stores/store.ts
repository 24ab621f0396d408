// What policies remember between sessions: the contract that every store keeps.

import type { GreylistRules } from './rules.ts'

/** Milliseconds since 1970; `Date` is one. Unlike the monotonic `Clock` it may jump. */
export interface WallClock {
  /** The time at this moment; a fraction is cut off. */
  now(): number
}

/** How long a call may take. */
export interface CallOptions {
  /** Milliseconds from the call on; after that the call rejects with `timeout`. @defaultValue the store's `timeout` */
  readonly timeout?: number | undefined
  /** Once it is aborted, the call rejects with `timeout`. */
  readonly signal?: AbortSignal | undefined
}

/** One name that a client is recognised by. */
export interface ClientKey {
  /** For example `net:192.0.2.0/24` or `name:example.org`. Entries carry this text in clear unless `privacy` is set. */
  readonly key: string
  /**
   * False for a key that never lets its client past greylisting, for example a domain that SPF passes for.
   * @defaultValue true
   */
  readonly autoAllow?: boolean
}

/** One attempt to send a message: a client, a sender, all recipients. */
export interface GreylistRequest {
  /** At least one. The attempt is looked up and recorded under each of them. */
  readonly clients: readonly ClientKey[]
  /** The reverse-path, folded by the policy (lower case, BATV, VERP …); the empty string for `<>`. */
  readonly sender: string
  /** The forward-paths, folded by the policy; at least one. */
  readonly recipients: readonly string[]
  /** The times to decide by. */
  readonly rules: GreylistRules
  /** Why the client has to wait, in a few words for the administrator; kept in clear unless `privacy` is set. */
  readonly reason?: string | undefined
}

/**
 * What a store says about one recipient of an attempt:
 *
 * - `new`: the first sight of this triplet, or the last one is too long ago
 * - `early`: a retry before the delay is over
 * - `pass`: the first retry after the delay
 * - `known`: the triplet has passed before
 * - `allowed`: the client has passed often enough; nothing was recorded
 */
export type GreylistVerdict = 'new' | 'early' | 'pass' | 'known' | 'allowed'

/** The decision about one recipient. */
export interface GreylistDecision {
  /** What the attempt is for this recipient; `new` and `early` have to wait. */
  readonly verdict: GreylistVerdict
  /** Milliseconds until a retry passes; 0 if this attempt passes. */
  readonly wait: number
  /** When the triplet was first seen, in milliseconds since 1970. */
  readonly first: number
  /** Attempts since then, this one included. */
  readonly attempts: number
}

/** The decision about one attempt. */
export interface GreylistResult {
  /** One for each recipient of the request, in its order. */
  readonly recipients: readonly GreylistDecision[]
  /** The client key that is past greylisting, or null. */
  readonly allowedBy: string | null
}

/** How often something may happen. */
export interface Rate {
  /** How often it may happen in each span `per`; all of it may happen at once. */
  readonly limit: number
  /** The length of the span in milliseconds. */
  readonly per: number
  /** What this time counts for; 0 only looks. @defaultValue 1 */
  readonly cost?: number
}

/** Whether something may happen once more. */
export interface RateResult {
  /** False: it is one time too many, and was not counted. */
  readonly allowed: boolean
  /** How many times are left at once. */
  readonly remaining: number
  /** Milliseconds until it is allowed; 0 if it is. */
  readonly wait: number
}

/** What an entry of any kind has. */
export interface EntryBase {
  /** The digest under which the store keeps it, in hexadecimal. */
  readonly id: string
  /** Milliseconds since 1970; from then on the entry counts as absent. */
  readonly expires: number
}

/** A client, a sender and a recipient that were seen together. */
export interface TripletEntry extends EntryBase {
  /** Tells the kinds of entries apart. */
  readonly kind: 'triplet'
  /** The client key; null with `privacy`. */
  readonly client: string | null
  /** The domain of the sender, empty for `<>`; null with `privacy`. */
  readonly senderDomain: string | null
  /** The reason of the last attempt; null with `privacy`. */
  readonly reason: string | null
  /** The first attempt, in milliseconds since 1970. */
  readonly first: number
  /** The last attempt. */
  readonly last: number
  /** Attempts since the first, that one included. */
  readonly attempts: number
  /** Milliseconds from the first attempt to the one that passed; null before that. */
  readonly waited: number | null
}

/** A client some of whose messages were accepted after they had waited. */
export interface ClientEntry extends EntryBase {
  /** Tells the kinds of entries apart. */
  readonly kind: 'client'
  /** The client key; null with `privacy`. */
  readonly client: string | null
  /** How many accepted messages counted towards auto-allow. */
  readonly passes: number
  /** The last attempt of an allowed client, or the last message that counted. */
  readonly last: number
}

/** What was counted by `hit` or remembered by `know`. */
export interface OtherEntry extends EntryBase {
  /** `rate`: counted by `hit`; `known`: remembered by `know`. */
  readonly kind: 'rate' | 'known'
}

/** What `scan` gives. */
export type StoreEntry = TripletEntry | ClientEntry | OtherEntry

/** A triplet to put, in clear: the store makes its digests. */
export interface NewTriplet extends Pick<TripletEntry, 'kind' | 'first' | 'last' | 'expires' | 'attempts' | 'waited'> {
  /** The client key. */
  readonly client: string
  /** The sender, folded as in a {@link GreylistRequest}. */
  readonly sender: string
  /** The recipient, folded likewise. */
  readonly recipient: string
  /** Why the client had to wait. */
  readonly reason?: string | undefined
}

/** A client to put, in clear. */
export interface NewClient extends Pick<ClientEntry, 'kind' | 'passes' | 'last' | 'expires'> {
  /** The client key. */
  readonly client: string
}

/** What `put` takes: an entry that `scan` of a store with the same salt gave, or one in clear. */
export type PutEntry = StoreEntry | NewTriplet | NewClient

/** How many entries a store has, expired ones that were not swept yet included. */
export interface StoreStats {
  /** Triplets that have not passed. */
  readonly unconfirmed: number
  /** Triplets that have passed. */
  readonly passed: number
  /** Clients some of whose messages were accepted after they had waited. */
  readonly clients: number
  /** Keys that `hit` counts. */
  readonly rates: number
  /** Keys that `know` remembers. */
  readonly known: number
  /** Octets in memory or on disk; null if the store cannot tell. */
  readonly octets: number | null
}

/**
 * What policies remember. Each call settles by its deadline, with a result or a {@link StoreError}; a result means that
 * the change is kept as safely as the store can (see each store). A call that rejects may have been carried out.
 */
export interface Store {
  /** For logs and metrics: `memory`, `sqlite`, `redis` … */
  readonly name: string
  /**
   * Decides an attempt and records it: all recipients and all client keys in one atomic step. Of any number of equal
   * attempts at once exactly one is `new`, and no attempt makes a wait shorter or begins it again, unless
   * `rules.restartWithin` says so. A triplet that passes is remembered as passed.
   */
  greylist(request: GreylistRequest, options?: CallOptions): Promise<GreylistResult>
  /**
   * Counts an accepted message towards auto-allow: called after the 250 for a message whose `greylist` call said `pass`
   * or `known`. Each triplet counts once, and for each client key the counted ones are at least `rules.autoAllow.apart`
   * from each other. Resolves with true if it counted for any key.
   */
  accept(request: GreylistRequest, options?: CallOptions): Promise<boolean>
  /** Counts one time of something against a rate, for example a connection of a client network (GCRA). */
  hit(key: string, rate: Rate, options?: CallOptions): Promise<RateResult>
  /** Remembers a key for `life` milliseconds from now on; never shortens what is remembered. */
  know(key: string, life: number, options?: CallOptions): Promise<void>
  /** Whether each key is remembered, in their order. */
  known(keys: readonly string[], options?: CallOptions): Promise<readonly boolean[]>
  /**
   * Forgets a key: its client record and triplets, its rate, and that it is known. Resolves with how many entries went.
   * Meant for an administrator: its default timeout is 30 s.
   */
  forget(key: string, options?: CallOptions): Promise<number>
  /**
   * Puts an entry with its times, for an import. It takes the place of an entry that was used before it; what is as new or
   * newer stays as it is, and so does a triplet that has passed if the entry has not, and the clock of one that waits.
   * Resolves with false if nothing was put: also for an entry that has expired or is from the future, for a rate, and at
   * the cap of passed entries. Throws `ERR_OPTION` if the entry has an id, but was made with another salt.
   */
  put(entry: PutEntry, options?: CallOptions): Promise<boolean>
  /** Gives the entries that have not expired, in no order, those of one client key if `client` is given. Not a snapshot. */
  scan(filter?: { readonly client?: string }): AsyncIterable<StoreEntry>
  /** Removes what has expired; resolves with how many entries went. A store also does so by itself. */
  sweep(): Promise<number>
  /** Counts the entries. Meant for an administrator: on Redis this reads every key. */
  stats(): Promise<StoreStats>
  /**
   * A secret that is made of the salt, for digests that all processes on this store have in common, in hexadecimal; each
   * purpose has its own. Throws a {@link StoreError} if the salt cannot be read. Absent in a store without a salt.
   */
  derive?(purpose: string): string
  /** Ends the store after the calls that are waiting; later calls reject with `down`. */
  close(): Promise<void>
}
