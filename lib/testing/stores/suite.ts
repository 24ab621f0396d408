// The contract suite of stores: the same cases for every store of the package, and for a user's own.

import { agreesWithMemory } from './random.ts'
import { Bench, type StoreFixture } from './fixture.ts'
import { greylistingCases } from './greylisting.ts'
import { otherCases } from './others.ts'
import { raceCases, sharedCases, twoProcesses } from './races.ts'

/** Registers a test: `test` of `node:test`, `t.test` of tap, `it` of others. */
export type RegisterTest = (name: string, run: () => Promise<void>) => unknown

/** Options of {@link storeContract}. */
export interface StoreContractOptions {
  /** Makes an empty place for data; called for each test. */
  readonly fixture: () => StoreFixture | Promise<StoreFixture>
  /** Whether two stores that the fixture opens share their data. @defaultValue false */
  readonly shared?: boolean
  /** How many first sights each of two processes makes, if the fixture has a `child`. @defaultValue 2,000 */
  readonly decisions?: number
  /** Seeds of the random sequences that are compared with memory. @defaultValue 1 to 5 */
  readonly seeds?: readonly number[]
  /** Calls of each random sequence. @defaultValue 400 */
  readonly steps?: number
}

/**
 * Registers the tests that every `Store` has to pass.
 *
 * ```ts
 * import { test } from 'node:test'
 * import { storeContract } from 'mailhandler/testing'
 *
 * storeContract(test, { fixture: () => ({ open: ({ clock }) => myStore({ clock }) }) })
 * ```
 */
export function storeContract(test: RegisterTest, options: StoreContractOptions): void {
  const { fixture, shared = false, decisions = 2000, seeds = [1, 2, 3, 4, 5], steps = 400 } = options
  const register = (name: string, run: (bench: Bench) => Promise<void>): void => {
    test(name, async () => {
      const bench = new Bench(await fixture())
      try {
        await run(bench)
      } finally {
        await bench.close()
      }
    })
  }
  const cases = { ...greylistingCases, ...otherCases, ...raceCases, ...(shared ? sharedCases : {}) }
  for (const [name, run] of Object.entries(cases)) register(name, run)
  for (const seed of seeds) {
    register(`agrees with memory on random calls, seed ${seed}`, bench => agreesWithMemory(bench, seed, steps))
  }
  if (shared) register('first sights in two processes', bench => twoProcesses(bench, decisions))
}
