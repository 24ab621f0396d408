// The key of a message, by which a service recognizes a retry, and the signature over all that is sent.

import { createHash, createHmac } from 'node:crypto'
import type { Envelope } from '../../smtp/envelope.ts'

/** What the last part of a request, or its trailers, say of the rest. */
export interface WebhookDigest {
  /** SHA-256 of sender, sorted recipients and content, in hexadecimal digits: a retry of the sender has the same. */
  readonly key: string
  /** HMAC-SHA-256 over envelope, LF, message, LF and key, in hexadecimal digits; only with a secret. */
  readonly signature?: string
}

/** Makes the digest of a message, piece by piece. */
export class Digester {
  readonly #key: ReturnType<typeof createHash>
  readonly #signature: ReturnType<typeof createHmac> | null

  /** `json` is the envelope as it is sent. */
  constructor({ sender, recipients }: Envelope, json: string, secret: string | null) {
    const sorted = [...new Set(recipients.map(({ address }) => address))].toSorted()
    this.#key = createHash('sha256').update(`${[sender.address, ...sorted].join('\n')}\n\n`)
    this.#signature = secret === null ? null : createHmac('sha256', secret).update(`${json}\n`)
  }

  /** Takes a field that was put in front: a retry has another one, so it is not part of the key. */
  addField(octets: Buffer): void {
    this.#signature?.update(octets)
  }

  /** Takes octets of the message. */
  add(octets: Buffer): void {
    this.#key.update(octets)
    this.#signature?.update(octets)
  }

  /** Returns the digest; nothing can be added any more. */
  end(): WebhookDigest {
    const key = this.#key.digest('hex')
    const signature = this.#signature?.update(`\n${key}`).digest('hex')
    return signature === undefined ? { key } : { key, signature }
  }
}
