// A sender with a queue, over two relays in front of LMTP: whatever mailboxes are full, connections are lost between two
// verdicts, and recipients are put beside others at each retry, each has one copy in the end.

import t from 'tap'
import { memoryStore } from '../lib/stores.ts'
import { inFrontOf, startMailboxes } from './fixtures/mailboxes.ts'
import { MAIL } from './fixtures/upstream.ts'
import type { Conversation } from '../lib/testing/index.ts'

/** Mulberry32: numbers from 0 to 1 that a seed repeats. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Sends to these recipients in one transaction; resolves with those that stay in the queue. */
async function attempt(c: Conversation, recipients: readonly string[]): Promise<string[]> {
  const left: string[] = []
  const taken: string[] = []
  await c.command('MAIL FROM:<a@client.example>', 250)
  for (const recipient of recipients) {
    const { code } = await c.command(`RCPT TO:<${recipient}>`)
    ;(code === 250 ? taken : left).push(recipient)
  }
  if (taken.length === 0) {
    await c.command('RSET', 250)
    return left
  }
  const { code } = await c.command('DATA')
  if (code !== 354) {
    await c.command('RSET', 250)
    return [...left, ...taken]
  }
  c.write(`${MAIL}.\r\n`)
  const verdict = await c.expect()
  return verdict.code === 250 ? left : [...left, ...taken]
}

for (let seed = 1; seed <= 40; seed++) {
  t.test(`seed ${seed}`, async t => {
    const next = random(seed)
    const whole = (most: number): number => 1 + Math.floor(next() * most)
    const all = Array.from({ length: whole(12) }, (_, i) => `u${i}@example.org`)
    /** How often each mailbox is full still. */
    const full = new Map(all.map(address => [address, next() < 0.3 ? whole(3) : 0]))
    let losses = whole(4) - 1
    const mailboxes = await startMailboxes(
      t,
      address => {
        if (losses > 0 && next() < 0.1) {
          losses -= 1
          return 'lost'
        }
        const times = full.get(address)!
        full.set(address, times - 1)
        return times > 0 ? 'full' : 'takes'
      },
      next() < 0.5,
    )
    const store = memoryStore()
    const fronts = await Promise.all([1, 2].map(() => inFrontOf(t, mailboxes, {}, { store })))
    let queue = all
    for (let round = 1; queue.length > 0; round++) {
      if (round > 40) return t.fail(`${queue.length} are left after 40 rounds`)
      const left: string[] = []
      const size = whole(all.length)
      for (let i = 0; i < queue.length; i += size) {
        left.push(...(await attempt(fronts[whole(2) - 1]!.c, queue.slice(i, i + size))))
      }
      queue = left.toSorted(() => next() - 0.5)
    }
    t.strictSame(
      all.map(address => [address, mailboxes.copies.get(address)]),
      all.map(address => [address, 1]),
    )
  })
}
