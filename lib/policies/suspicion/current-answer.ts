// A look-up about what a client says of itself. It may say something else as often as it likes, and wait for nothing: so one
// look-up is under way at a time, and what was said meanwhile is asked about once somebody needs the answer.

/** The answer about what a client has said last. */
export class CurrentAnswer<T> {
  #subject: string | null = null
  #answer: Promise<T> | null = null
  #isUnderWay = false

  /** Asks about a subject, unless that was asked last, or a look-up is under way. `ask` never rejects. */
  begin(subject: string, ask: () => Promise<T>): void {
    if (this.#isUnderWay || this.#subject === subject) return
    this.#subject = subject
    this.#isUnderWay = true
    this.#answer = ask().finally(() => (this.#isUnderWay = false))
  }

  /** Resolves with the answer about a subject; asks once the look-up that is under way has ended. */
  async get(subject: string, ask: () => Promise<T>): Promise<T> {
    while (this.#subject !== subject) {
      await this.#answer
      this.begin(subject, ask)
    }
    return this.#answer!
  }
}
