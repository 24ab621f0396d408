// The connection of a client: the stream that is piped in and out, usually a socket, and TLS in its place.
//
//   socket ─pipe→ client ─pipe→ socket          after STARTTLS: socket ═ TLSSocket ─pipe→ client ─pipe→ TLSSocket

import type { Duplex, Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { readTls, type TlsState } from '../tls/tls-state.ts'
import { SmtpClientError } from './client-error.ts'
import { certificateProblem, startTls, type ResolvedClientTls } from './tls.ts'

type Source = Readable & {
  readonly encrypted?: boolean
  setNoDelay?(noDelay: boolean): unknown
  destroySoon?(): void
}

/** Knows what is piped into a client, and hears how it ends. */
export class Connection {
  readonly #client: Duplex
  readonly #lost: (cause: Error | null) => void
  #source: Source | null = null
  readonly #destinations = new Set<unknown>()
  #error: Error | null = null

  /** `lost` is called when the stream closes without having ended; with its error, if it had one. */
  constructor(client: Duplex, lost: (cause: Error | null) => void) {
    this.#client = client
    this.#lost = lost
    client.on('pipe', (source: Source) => this.#attach(source))
  }

  /** The TLS layer, or null. */
  get tls(): TlsState | null {
    return readTls(this.#source)
  }

  /** True if TLS can be put in the place of the stream: it is piped in and out. */
  get canUpgrade(): boolean {
    return this.#source !== null && this.#destinations.has(this.#source)
  }

  /** The client is piped out to `destination`. */
  pair(destination: unknown): void {
    this.#destinations.add(destination)
  }

  /** Checks the certificate of a connection that is under TLS from the start. Null: nothing is wrong with it. */
  certificateProblem(tls: ResolvedClientTls): string | null {
    return certificateProblem(this.#source as unknown as TLSSocket, tls)
  }

  /**
   * Puts TLS in the place of the stream. Rejects with `ERR_TLS` if the handshake fails or the certificate is not valid;
   * then the connection is of no more use.
   */
  upgrade(tls: ResolvedClientTls): Promise<void> {
    const clear = this.#source as Source & Duplex
    clear.unpipe(this.#client)
    this.#client.unpipe(clear)
    return new Promise((resolve, reject) => {
      const secure = startTls(clear, tls)
      this.#source = secure
      const fail = (cause: Error | null): void => {
        secure.destroy()
        clear.destroy()
        reject(new SmtpClientError('ERR_TLS', cause?.message ?? 'the handshake failed', { step: 'TLS', cause }))
      }
      secure.on('error', fail)
      secure.once('close', () => fail(this.#error))
      secure.once('secureConnect', () => {
        const problem = certificateProblem(secure, tls)
        if (problem !== null) return fail(new Error(problem))
        secure.off('error', fail)
        secure.pipe(this.#client).pipe(secure)
        resolve()
      })
    })
  }

  /** The client is destroyed, and its connection with it. `graceful`: once what was written has left. */
  release(graceful: boolean): void {
    const source = this.#source
    if (source === null) return
    if (graceful) {
      if (source.destroySoon !== undefined) source.destroySoon()
      else if (this.canUpgrade) (source as Source & Duplex).end() // the client's own end may never be read any more
      return
    }
    source.unpipe(this.#client)
    source.destroy()
  }

  #attach(source: Source): void {
    this.#source = source
    source.setNoDelay?.(true)
    source.on('error', (error: Error) => (this.#error ??= error)) // without a listener it would be thrown
    const closed = (): void => {
      if (this.#source === source && !this.#client.writableEnded) this.#lost(this.#error)
    }
    source.once('close', closed)
    if (source.destroyed) process.nextTick(closed) // its 'close' may have been before this
  }
}
