// How a message and its envelope become the body of a request.
//
//   multipart   envelope │ message │ digest
//   raw         header mailhandler-envelope │ message │ trailers mailhandler-key, mailhandler-signature

import { randomBytes } from 'node:crypto'
import type { OutgoingHttpHeaders } from 'node:http'
import type { WebhookDigest } from './digest.ts'

/** The frame of a request. */
export interface Form {
  readonly headers: OutgoingHttpHeaders
  /** What is before the message; null for nothing. */
  readonly head: Buffer | null
  /** Returns what is behind it. */
  end(digest: WebhookDigest): { readonly tail: Buffer | null; readonly trailers: OutgoingHttpHeaders }
}

/** Makes the frame for an envelope. [RFC 7578] [RFC 9112 §7.1.2] */
export const FORMS: Readonly<Record<'multipart' | 'raw', (json: string) => Form>> = {
  multipart(json) {
    const boundary = `mailhandler-${randomBytes(24).toString('hex')}`
    const part = (name: string, type: string): string =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\nContent-Type: ${type}\r\n\r\n`
    const message = part('message"; filename="message.eml', 'message/rfc822')
    return {
      headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
      head: Buffer.from(`${part('envelope', 'application/json')}${json}\r\n${message}`),
      end(digest) {
        const last = part('digest', 'application/json')
        return {
          tail: Buffer.from(`\r\n${last}${JSON.stringify(digest)}\r\n--${boundary}--\r\n`),
          trailers: {},
        }
      },
    }
  },
  raw(json) {
    return {
      headers: {
        'content-type': 'message/rfc822',
        'mailhandler-envelope': json,
        trailer: 'mailhandler-key, mailhandler-signature',
      },
      head: null,
      end({ key, signature }) {
        const trailers = signature === undefined ? {} : { 'mailhandler-signature': signature }
        return { tail: null, trailers: { 'mailhandler-key': key, ...trailers } }
      },
    }
  },
}
