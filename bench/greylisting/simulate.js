// Lets messages come, and come again, until each is accepted or given up.

import { nextAttempt } from './retry.js'

/** What becomes of each message: `{ message, attempts, delay }`, in seconds; `delay` is null if it was never accepted. */
export async function simulate(messages, subject) {
  const queue = new Queue()
  const results = messages.map(message => ({ message, attempts: 0, delay: null }))
  for (const result of results) queue.add({ at: result.message.start, result })
  for (let next = queue.take(); next !== null; next = queue.take()) {
    const { at, result } = next
    const { message } = result
    result.attempts++
    if (await subject.attempt({ at, host: message.host(), sender: message.sender, to: message.to })) {
      result.delay = at - message.start
      continue
    }
    const again = nextAttempt(message.row.retry, { ...message, now: at, attempts: result.attempts })
    if (again !== null) queue.add({ at: again, result })
  }
  return results
}

/** What is due next, by time; the first in is the first out. */
class Queue {
  #heap = []
  #serial = 0

  add(item) {
    const heap = this.#heap
    const entry = { ...item, serial: this.#serial++ }
    let i = heap.push(entry) - 1
    for (let up = (i - 1) >> 1; i > 0 && isBefore(entry, heap[up]); up = (i - 1) >> 1) {
      heap[i] = heap[up]
      i = up
    }
    heap[i] = entry
  }

  take() {
    const heap = this.#heap
    const first = heap[0] ?? null
    const last = heap.pop()
    if (heap.length === 0) return first
    let i = 0
    for (;;) {
      let down = 2 * i + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && isBefore(heap[down + 1], heap[down])) down++
      if (!isBefore(heap[down], last)) break
      heap[i] = heap[down]
      i = down
    }
    heap[i] = last
    return first
  }
}

const isBefore = (a, b) => a.at < b.at || (a.at === b.at && a.serial < b.serial)
