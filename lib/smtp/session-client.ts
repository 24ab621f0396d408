// The client of a session.

import type { Endpoint } from '../stream/peer.ts'

/** The client of a session. */
export interface Client extends Endpoint {
  /** The host name that a policy has verified, or a trusted proxy has told; null before. A policy may set it. */
  name: string | null
}

/** The client as a proxy or the socket names it; hooks may set its name alone. */
export class SessionClient implements Client {
  readonly #address: string | null
  readonly #port: number | null
  name: string | null

  constructor(address: string | null, port: number | null, name: string | null = null) {
    this.#address = address
    this.#port = port
    this.name = name
  }

  get address(): string | null {
    return this.#address
  }

  get port(): number | null {
    return this.#port
  }

  toJSON(): Client {
    return { address: this.#address, port: this.#port, name: this.name }
  }
}
