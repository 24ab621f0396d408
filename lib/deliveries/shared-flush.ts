/**
 * Group commit: makes a function that runs `work`, one run at a time, and lets all calls that come before a run has begun
 * share it. What was done before the call is covered by the run it waits for. If the run fails, so do all its calls.
 */
export function sharedFlush(work: () => Promise<void>): () => Promise<void> {
  let next: Promise<void> | null = null
  let last: Promise<void> = Promise.resolve()
  return () => {
    if (next !== null) return next
    next = last.then(() => {
      next = null
      return work()
    })
    last = next.catch(() => {})
    return next
  }
}
