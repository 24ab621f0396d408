// A store against memory: the same random calls have to give the same results.

import assert from 'node:assert/strict'
import { memoryStore } from '../../stores/memory-store.ts'
import type { GreylistRequest, Store } from '../../stores/store.ts'
import { xorshift } from '../chunks.ts'
import { entries, RULES, type Bench } from './fixture.ts'

const MINUTE = 60_000
const MOVES = [0, 0, 1, 500, 1000, MINUTE, MINUTE + 1, 10 * MINUTE, 60 * MINUTE + 1]
const RULE_SETS = [RULES, { ...RULES, restartWithin: 500 }, { ...RULES, autoAllow: null }, { ...RULES, life: MINUTE }]

type Call = (store: Store) => Promise<unknown>

class Generator {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = xorshift(seed)
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)]!
  }

  some<T>(values: readonly T[], least: number): T[] {
    const count = least + Math.floor(this.#random() * (values.length - least + 1))
    return values.toSorted(() => this.#random() - 0.5).slice(0, count)
  }

  request(): GreylistRequest {
    const keys = this.some(['name:a', 'net:b', 'spf:c'], 1)
    return {
      clients: keys.map(key => ({ key, autoAllow: !key.startsWith('spf:') })),
      sender: this.pick(['bob@example.org', 'eve@example.com', '']),
      recipients: this.some(['a@example.net', 'b@example.net', 'c@example.net', 'a@example.net'], 1),
      rules: this.pick(RULE_SETS),
      reason: this.pick(['listed', 'no reverse name', '']),
    }
  }

  call(): { readonly text: string; readonly make: Call } {
    const request = this.request()
    const key = this.pick(['name:a', 'net:b', 'x'])
    const rate = { limit: this.pick([1, 3, 7]), per: this.pick([1000, MINUTE]), cost: this.pick([0, 1, 1, 2]) }
    const life = this.pick([MINUTE, 10 * MINUTE])
    const greylist = { text: `greylist ${JSON.stringify(request)}`, make: (store: Store) => store.greylist(request) }
    return this.pick<{ readonly text: string; readonly make: Call }>([
      greylist,
      greylist,
      greylist,
      greylist,
      { text: `accept ${JSON.stringify(request)}`, make: store => store.accept(request) },
      { text: `accept ${JSON.stringify(request)}`, make: store => store.accept(request) },
      { text: `hit ${key} ${JSON.stringify(rate)}`, make: store => store.hit(key, rate) },
      { text: `know ${key} ${life}`, make: store => store.know(key, life) },
      { text: 'known', make: store => store.known(['x', 'name:a', 'net:b']) },
      this.#rarely(
        { text: `forget ${key}`, make: store => store.forget(key).then(() => 0) },
        { text: 'sweep', make: store => store.sweep().then(() => 0) },
      ) ?? greylist,
    ])
  }

  #rarely<T>(...values: readonly T[]): T | null {
    return this.#random() < 0.3 ? this.pick(values) : null
  }
}

/** Makes the same random calls on the store and on memory. */
export async function agreesWithMemory(bench: Bench, seed: number, steps: number): Promise<void> {
  const { clock } = bench
  const store = await bench.open()
  const model = memoryStore({ clock })
  const generator = new Generator(seed)
  for (let step = 0; step < steps; step++) {
    clock.move(generator.pick(MOVES))
    const { text, make } = generator.call()
    const [result, wanted] = [await make(store), await make(model)]
    assert.deepEqual(result, wanted, `seed ${seed}, step ${step}, at ${clock.now()}: ${text}`)
  }
  for (const each of [store, model]) await each.sweep()
  assert.deepEqual(await content(store), await content(model), `seed ${seed}: what the stores hold at the end`)
}

/** The entries without their ids, which depend on the salt. */
async function content(store: Store): Promise<string[]> {
  return (await entries(store)).map(entry => JSON.stringify({ ...entry, id: '' })).toSorted()
}
