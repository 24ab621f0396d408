// Wrong credentials, counted by client network across sessions.

/**
 * Counts wrong credentials by client network: a process in its memory, or a store that several processes share, so both
 * methods may answer later.
 */
export interface GuessCounter {
  /** True if the network has shown as many different wrong credentials as it may. */
  isExhausted(network: string): boolean | Promise<boolean>
  /** Counts wrong credentials, which `digest` stands for; the same ones count once in the window. */
  hit(network: string, digest: string): void | Promise<void>
  /**
   * The key of the digests: processes that count together have the same, so that the same wrong credentials count once for
   * all of them. If it throws, or is missing, the process makes a key of its own.
   */
  readonly key?: () => string
}

/** How much is counted, and for how long. */
export interface CountLimits {
  /** Different wrong credentials of one network within the window. */
  readonly credentials: number
  /** Milliseconds for which they count. */
  readonly window: number
  /** Networks that are remembered; beyond it the one that has guessed least recently is forgotten. */
  readonly networks: number
}

/** A {@link GuessCounter} in memory. */
export class WrongCredentials implements GuessCounter {
  readonly #limits: CountLimits
  readonly #clock: { now(): number }
  /** When each digest came first, by network: the network of the last hit is the last. */
  readonly #networks = new Map<string, Map<string, number>>()

  constructor(limits: CountLimits, clock: { now(): number }) {
    this.#limits = limits
    this.#clock = clock
  }

  /** Networks that are remembered. */
  get size(): number {
    return this.#networks.size
  }

  isExhausted(network: string): boolean {
    const digests = this.#networks.get(network)
    if (digests === undefined) return false
    this.#forget(network, digests)
    return digests.size >= this.#limits.credentials
  }

  hit(network: string, digest: string): void {
    const digests = this.#networks.get(network) ?? new Map<string, number>()
    this.#forget(network, digests)
    if (!digests.has(digest)) digests.set(digest, this.#clock.now())
    this.#networks.delete(network)
    this.#networks.set(network, digests)
    this.#forgetNetworks()
  }

  #forget(network: string, digests: Map<string, number>): void {
    const { window } = this.#limits
    for (const [digest, at] of digests) {
      if (this.#clock.now() - at < window) break
      digests.delete(digest)
    }
    if (digests.size === 0) this.#networks.delete(network)
  }

  /** Two from the front at each hit, so that no hit takes long and the map cannot grow. */
  #forgetNetworks(): void {
    let looked = 0
    for (const [network, digests] of this.#networks) {
      if (this.#networks.size > this.#limits.networks) this.#networks.delete(network)
      else if (looked === 2) return
      else this.#forget(network, digests)
      looked += 1
    }
  }
}
