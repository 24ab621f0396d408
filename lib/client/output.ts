// The octets that a client has to say, on their way to its readable side, and when there is room for more.

/** Octets that are copied together to leave in one write; more are not worth a copy. */
export const ONE_WRITE = 16_384

/** Pushes octets into a Readable, and tells who waits once it wants more. */
export class Output {
  /** Octets that have been pushed. */
  octets = 0
  readonly #push: (octets: Buffer) => boolean
  readonly #stalled: (isStalled: boolean) => void
  #hasRoom = true
  #waiting: (() => void) | null = null

  /**
   * @param push `Readable.push` of the client.
   * @param stalled is told when someone begins to wait for room, and when there is some.
   */
  constructor(push: (octets: Buffer) => boolean, stalled: (isStalled: boolean) => void) {
    this.#push = push
    this.#stalled = stalled
  }

  /** False while octets that were pushed have not been read. */
  get hasRoom(): boolean {
    return this.#hasRoom
  }

  /** Pushes octets; returns false if no more should follow before {@link Output.whenRoom} calls back. */
  push(octets: Buffer): boolean {
    this.octets += octets.length
    if (octets.length > 0) this.#hasRoom = this.#push(octets)
    return this.#hasRoom
  }

  /** Calls back once, as soon as there is room. */
  whenRoom(callback: () => void): void {
    if (this.#hasRoom) return callback()
    this.#waiting = callback
    this.#stalled(true)
  }

  /** Forgets who waits. */
  forget(): void {
    if (this.#waiting !== null) this.#stalled(false)
    this.#waiting = null
  }

  /** The Readable wants more: its `_read` was called. */
  wanted(): void {
    this.#hasRoom = true
    const waiting = this.#waiting
    this.forget()
    waiting?.()
  }
}
