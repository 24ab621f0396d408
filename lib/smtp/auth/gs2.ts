// The GS2 header, with which the messages of SCRAM and OAUTHBEARER begin. [RFC 5801 §4]

import { isSecret } from './names.ts'

/** A GS2 header, read. */
export interface Gs2 {
  /** As it was sent, both commas included: SCRAM binds it. */
  readonly header: string
  /** Unescaped; empty where there is none. */
  readonly authzid: string
  /** The message behind the header. */
  readonly rest: string
}

const HEADER = /^[ny],(?:a=([^,]*))?,/

/** Reads the header off a message. Null when it is malformed, or asks for channel binding (`p=`), which is not offered:
 * such a client must be refused. [RFC 5802 §6] */
export function readGs2(message: string): Gs2 | null {
  const [header, name] = HEADER.exec(message) ?? []
  if (header === undefined) return null
  const authzid = name === undefined ? '' : unescapeName(name)
  return authzid === null ? null : { header, authzid, rest: message.slice(header.length) }
}

/** A saslname's text: `=2C` is a comma, `=3D` is `=`, and no other `=` may stand. Null when it is none. [RFC 5802 §5.1] */
export function unescapeName(name: string): string | null {
  if (/=(?!2C|3D)/.test(name)) return null
  const text = name.replaceAll('=2C', ',').replaceAll('=3D', '=')
  return isSecret(text) ? text : null
}
