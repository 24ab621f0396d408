// Parses the messages of SCRAM strictly: attributes in their order, no mandatory extension.

import { decodeBase64 } from '../../words/base64.ts'
import { readGs2, unescapeName } from './gs2.ts'

/** The client's first message: `n,,n=user,r=nonce`. [RFC 5802 §7] */
export interface ClientFirst {
  /** The GS2 header as sent, which `c=` must repeat. */
  readonly header: string
  readonly authzid: string
  readonly user: string
  readonly nonce: string
  /** The message without the GS2 header, as it goes into the proof. */
  readonly bare: string
}

/** The client's final message: `c=biws,r=nonce,p=proof`. [RFC 5802 §7] */
export interface ClientFinal {
  /** `c=`, decoded: the GS2 header again. */
  readonly binding: Buffer
  readonly nonce: string
  readonly proof: Buffer
  /** The message up to `,p=`, as it goes into the proof. */
  readonly withoutProof: string
}

/** The longest nonce of a client, in octets: the server's first message must fit into a reply line of 512. */
export const CLIENT_NONCE_OCTETS = 128

// Any extension is ignored but `m=`, which is mandatory; other attributes have fixed places.
const EXTENSIONS = '(?:,[A-Zbdfghjkloqtuwxyz]=[^,\\0]+)*' // [RFC 5802 §5.1]
const NONCE = '[\\x21-\\x2b\\x2d-\\x7e]+'
const FIRST = new RegExp(`^n=([^,]*),r=(${NONCE})${EXTENSIONS}$`)
const FINAL = new RegExp(`^(c=([^,]*),r=(${NONCE})${EXTENSIONS}),p=([^,]*)$`)

/** Parses the client's first message. Null if it is malformed, asks for channel binding or has a mandatory extension. */
export function readClientFirst(text: string): ClientFirst | null {
  const gs2 = readGs2(text)
  if (gs2 === null) return null
  const [bare, name = '', nonce = ''] = FIRST.exec(gs2.rest) ?? []
  const user = unescapeName(name)
  if (bare === undefined || user === null || nonce.length > CLIENT_NONCE_OCTETS) return null
  return { header: gs2.header, authzid: gs2.authzid, user, nonce, bare }
}

/** Parses the client's final message. Null if it is malformed or has a mandatory extension. */
export function readClientFinal(text: string): ClientFinal | null {
  const [whole, withoutProof = '', c = '', nonce = '', p = ''] = FINAL.exec(text) ?? []
  const binding = decodeBase64(c)
  const proof = decodeBase64(p)
  if (whole === undefined || binding === null || proof === null) return null
  return { binding, nonce, proof, withoutProof }
}
