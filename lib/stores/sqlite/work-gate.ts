// Between the worker and the end of its process: a thread that is ended within a call of SQLite takes the whole process
// with it on Node 20, where @photostructure/sqlite throws what nobody can catch (SIGABRT).

/** Places in the memory: whether the worker is at work, whether the gate is shut. 0 is no, 1 is yes. */
const WORKING = 0
const SHUT = 1

/** Milliseconds that the end of the process waits for the work under way: more than it waits for a lock by default. */
const PATIENCE = 1000

/** A gate in memory that both threads see: the worker passes it for each piece of work, the main thread shuts it. */
export class WorkGate {
  /** What the other thread makes its own gate from. */
  readonly memory: SharedArrayBuffer
  readonly #cells: Int32Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory
    this.#cells = new Int32Array(memory)
  }

  /** Does the work, unless the gate is shut. */
  pass(work: () => void): void {
    if (!this.enter()) return
    try {
      work()
    } finally {
      this.leave()
    }
  }

  /** Begins a piece of work; false if the gate is shut. */
  enter(): boolean {
    Atomics.store(this.#cells, WORKING, 1) // Before the look at the other: so at least one of the two threads sees it.
    if (Atomics.load(this.#cells, SHUT) === 0) return true
    this.leave()
    return false
  }

  /** The work is done. */
  leave(): void {
    Atomics.store(this.#cells, WORKING, 0)
    Atomics.notify(this.#cells, WORKING)
  }

  /** Lets no more work begin, and waits for what is under way, `patience` milliseconds at most. Blocks the thread. */
  shut(patience: number = PATIENCE): void {
    Atomics.store(this.#cells, SHUT, 1)
    Atomics.wait(this.#cells, WORKING, 1, patience)
  }
}

const open = new Set<WorkGate>()
const shutAll = (): void => open.forEach(gate => gate.shut())

/** Shuts the gate when the process ends, as long as it is not forgotten. One listener for all gates. */
export function shutAtExit(gate: WorkGate): void {
  if (open.size === 0) process.on('exit', shutAll)
  open.add(gate)
}

/** The worker behind the gate has ended. */
export function forgetGate(gate: WorkGate): void {
  open.delete(gate)
  if (open.size === 0) process.off('exit', shutAll)
}
