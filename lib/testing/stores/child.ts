// A process of the contract suite. Opens the store that its parent names, waits for the parent's word, makes first
// sights, 200 at a time, and tells the parent which were new to it.

import { once } from 'node:events'
import type { Store } from '../../stores/store.ts'
import { attempt } from './fixture.ts'
import type { ChildMessage, ChildTask } from './races.ts'

interface Opener {
  openStore(argument: string): Store | Promise<Store>
}

/** Makes the first sights 0 to `decisions`; resolves with those that were new. */
async function makeFirstSights(store: Store, decisions: number): Promise<number[]> {
  const created: number[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let i = next++; i < decisions; i = next++) {
      const { recipients } = await store.greylist(attempt(`net:${i % 1000}`, `user${i}@example.net`), {
        timeout: 30_000,
      })
      if (recipients[0]!.verdict === 'new') created.push(i)
    }
  }
  await Promise.all(Array.from({ length: 200 }, worker))
  return created
}

function tell(message: ChildMessage): void {
  process.send!(message)
}

async function work({ module, argument, decisions }: ChildTask): Promise<void> {
  const { openStore } = (await import(module)) as Opener
  const store = await openStore(argument)
  await store.stats()
  tell({ state: 'ready', created: [] })
  await once(process, 'message')
  const created = await makeFirstSights(store, decisions)
  await store.close()
  tell({ state: 'done', created })
}

process.once('message', (task: ChildTask) => void work(task))
