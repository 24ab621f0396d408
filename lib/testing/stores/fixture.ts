// What the cases of the contract suite work with.

import assert from 'node:assert/strict'
import { greylistRules, type GreylistRules } from '../../stores/rules.ts'
import type { GreylistRequest, Store, StoreEntry, WallClock } from '../../stores/store.ts'

/** A place for data, empty at first, and stores on it. */
export interface StoreFixture {
  /** Opens a store on the data; several at a time see the same data if the fixture is `shared`. */
  open(options: { readonly clock?: WallClock }): Store | Promise<Store>
  /** Removes the data, after all stores were closed. */
  remove?(): void | Promise<void>
  /** For stores that processes share: how another process opens one on the same data. */
  readonly child?: {
    /** The URL of a module that exports `openStore(argument: string): Store | Promise<Store>`. */
    readonly module: string
    /** Says where the data is: a file, a URL; `openStore` gets it. */
    readonly argument: string
  }
}

/** Times that are easy to read in a test: a second, a minute, an hour; auto-allow after 2 messages 10 minutes apart. */
export const RULES: GreylistRules = greylistRules({
  delay: 1000,
  window: 60_000,
  life: 3_600_000,
  autoAllow: { passes: 2, apart: 600_000 },
})

/** A clock that a case sets. */
export class TestClock implements WallClock {
  #now = 1_700_000_000_000

  now(): number {
    return this.#now
  }

  /** Moves it, backwards too. */
  move(milliseconds: number): void {
    this.#now += milliseconds
  }
}

/** A data place, one store on it, and a clock. */
export class Bench {
  readonly clock: TestClock = new TestClock()
  readonly #fixture: StoreFixture
  readonly #opened: Store[] = []

  constructor(fixture: StoreFixture) {
    this.#fixture = fixture
  }

  get child(): StoreFixture['child'] {
    return this.#fixture.child
  }

  /** Another store on the data, with the bench's clock or one's own. */
  async open(clock: WallClock | undefined = this.clock): Promise<Store> {
    const store = await this.#fixture.open({ clock })
    this.#opened.push(store)
    return store
  }

  /** A store on the data that has the system's clock. */
  async openByItself(): Promise<Store> {
    const store = await this.#fixture.open({})
    this.#opened.push(store)
    return store
  }

  async close(): Promise<void> {
    for (const store of this.#opened) await store.close()
    await this.#fixture.remove?.()
  }
}

/** An attempt of `client` (one key or several) from one sender to one recipient. */
export function attempt(
  client: string | readonly string[],
  recipient = 'anna@example.net',
  change: Partial<GreylistRequest> = {},
): GreylistRequest {
  const clients = [client].flat().map(key => ({ key }))
  return { clients, sender: 'bob@example.org', recipients: [recipient], rules: RULES, ...change }
}

/** The verdict about the only recipient. */
export async function verdict(store: Store, request: GreylistRequest): Promise<string> {
  const { recipients } = await store.greylist(request)
  assert.equal(recipients.length, request.recipients.length)
  return recipients[0]!.verdict
}

/** All entries. */
export async function entries(store: Store, client?: string): Promise<StoreEntry[]> {
  const found: StoreEntry[] = []
  for await (const entry of store.scan(client === undefined ? {} : { client })) found.push(entry)
  return found
}

/** Resolves if the call fails with a StoreError of this kind. */
export async function fails(kind: string, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error: Error & { kind?: string; code?: string }) => {
    assert.equal(error.code, 'ERR_STORE', error.message)
    assert.equal(error.kind, kind, error.message)
    return true
  })
}

/** The cases of one subject, by name. */
export type Cases = Readonly<Record<string, (bench: Bench) => Promise<void>>>
