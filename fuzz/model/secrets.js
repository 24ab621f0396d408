// The secrets of the users that the cases know, and what a client and a server make of them. [RFC 5802 §3, RFC 2195 §2]

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'

/** The password of every user whose name is a mood. */
export const PASSWORD = 'open sesame'

/** What the server of a case adds to the client's nonce, and what it has stored for each user. */
export const NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF'
export const SALT = Buffer.from('0123456789abcdef')
export const ITERATIONS = 4096
export const UNIQUE = '1896.697170952'
export const TOKEN = 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=='
export const CHALLENGE = `<${UNIQUE}@mx.example>`

const hmac = (key, text) => createHmac('sha256', key).update(text).digest()
const SALTED = pbkdf2Sync(PASSWORD, SALT, ITERATIONS, 32, 'sha256')
const CLIENT_KEY = hmac(SALTED, 'Client Key')
const STORED_KEY = createHash('sha256').update(CLIENT_KEY).digest()
const SERVER_KEY = hmac(SALTED, 'Server Key')

/** The proof of the right password. [RFC 5802 §3] */
export function proofOf(authMessage) {
  const signature = hmac(STORED_KEY, authMessage)
  return Buffer.from(CLIENT_KEY.map((octet, i) => octet ^ signature[i])).toString('base64')
}

/** The server's signature, in its last message. [RFC 5802 §3] */
export const signatureOf = authMessage => `v=${hmac(SERVER_KEY, authMessage).toString('base64')}`

/** The answer of the right password. [RFC 2195 §2] */
export const digestOf = password => createHmac('md5', password).update(CHALLENGE).digest('hex')

/** What the server says to a client's first message. */
export const serverFirstOf = nonce => `r=${nonce}${NONCE},s=${SALT.toString('base64')},i=${ITERATIONS}`
