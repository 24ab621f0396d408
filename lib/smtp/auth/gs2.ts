// The GS2 header, with which the messages of SCRAM and OAUTHBEARER begin. [RFC 5801 §4]

import { isSecret } from './names.ts'

/** A parsed GS2 header. */
export interface Gs2 {
  /** As it was sent, with both commas: SCRAM repeats it. */
  readonly header: string
  /** Unescaped; empty if there is none. */
  readonly authzid: string
  /** The message after the header. */
  readonly rest: string
}

const HEADER = /^[ny],(?:a=([^,]*))?,/

/**
 * Reads the header of a message. Null if it is malformed, or asks for channel binding (`p=`), which is not offered: such
 * a client must be refused. [RFC 5802 §6]
 */
export function readGs2(message: string): Gs2 | null {
  const [header, name] = HEADER.exec(message) ?? []
  if (header === undefined) return null
  const authzid = name === undefined ? '' : unescapeName(name)
  return authzid === null ? null : { header, authzid, rest: message.slice(header.length) }
}

/** Unescapes a saslname: `=2C` is a comma, `=3D` is `=`; null if it has any other `=`, or is not a name. [RFC 5802 §5.1] */
export function unescapeName(name: string): string | null {
  if (/=(?!2C|3D)/.test(name)) return null
  const text = name.replaceAll('=2C', ',').replaceAll('=3D', '=')
  return isSecret(text) ? text : null
}
