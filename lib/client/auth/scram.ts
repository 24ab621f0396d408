// SCRAM-SHA-256, the client's side: both prove that they know the password, and neither sends it. [RFC 5802, RFC 7677]
//
//   C: n,,n=user,r=abc      S: r=abcXYZ,s=salt,i=100000      C: c=biws,r=abcXYZ,p=proof      S: v=signature      C: (empty)

import { timingSafeEqual } from 'node:crypto'
import { hmac, scramKeys } from '../../sasl/scram-keys.ts'
import { decodeBase64 } from '../../words/base64.ts'
import type { ClientExchange } from './exchange.ts'

/** What {@link scramExchange} needs. */
export interface ScramClient {
  /** The name, prepared. */
  user(): Promise<string>
  /** The password, prepared. */
  password(): Promise<string>
  /** Whom to act as; `''` for the user. */
  readonly authzid: string
  /** Printable ASCII without comma. */
  readonly nonce: string
}

/** Iterations that a server may ask for: fewer make the password easy to guess, more would keep this process busy. */
const MIN_ITERATIONS = 4096 // [RFC 7677 §4]
const MAX_ITERATIONS = 10_000_000

const SERVER_FIRST = /^r=([\x21-\x2b\x2d-\x7e]+),s=([^,]+),i=([1-9]\d{0,8})(?:,.*)?$/
const SERVER_FINAL = /^v=([^,]+)(?:,.*)?$/

/** Begins an exchange of SCRAM-SHA-256, without channel binding. */
export function scramExchange(client: ScramClient): ClientExchange {
  const header = `n,${client.authzid === '' ? '' : `a=${saslName(client.authzid)}`},`
  let bare = ''
  let signature: Buffer | null = null
  let complete = false

  const prove = async (serverFirst: string): Promise<string> => {
    const { nonce, salt, iterations } = readServerFirst(serverFirst, client.nonce)
    const { clientKey, storedKey, serverKey } = await scramKeys(await client.password(), salt, iterations)
    const withoutProof = `c=${Buffer.from(header).toString('base64')},r=${nonce}`
    const message = `${bare},${serverFirst},${withoutProof}`
    signature = hmac(serverKey, message)
    const mask = hmac(storedKey, message)
    const proof = Buffer.from(clientKey.map((octet, i) => octet ^ mask[i]!))
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  const checkServer = (serverFinal: string, expected: Buffer): string => {
    const shown = decodeBase64(SERVER_FINAL.exec(serverFinal)?.[1] ?? '')
    if (shown?.length !== expected.length || !timingSafeEqual(shown, expected)) {
      throw new Error('the server has not proved that it knows the password')
    }
    complete = true
    return ''
  }

  return {
    async initial() {
      bare = `n=${saslName(await client.user())},r=${client.nonce}`
      return header + bare
    },
    answer: challenge => (signature === null ? prove(challenge) : checkServer(challenge, signature)),
    isComplete: () => complete,
  }
}

function readServerFirst(text: string, ownNonce: string): { nonce: string; salt: Buffer; iterations: number } {
  const [, nonce = '', encoded = '', rounds = ''] = SERVER_FIRST.exec(text) ?? []
  const iterations = Number(rounds)
  const salt = decodeBase64(encoded)
  if (!nonce.startsWith(ownNonce) || nonce === ownNonce) throw new Error('the server does not continue the nonce')
  if (salt === null || salt.length === 0) throw new Error('the salt is no base64')
  if (!(iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS)) {
    throw new Error(`the server asks for fewer than ${MIN_ITERATIONS} or more than ${MAX_ITERATIONS} iterations`)
  }
  return { nonce, salt, iterations }
}

/** A name in which neither comma nor equals sign is left. [RFC 5802 §5.1] */
function saslName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C')
}
