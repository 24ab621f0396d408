// The library that is fuzzed, by its folder: dist/lib, or that of another build.

import { PassThrough } from 'node:stream'
import { ITERATIONS, NONCE, PASSWORD, SALT, UNIQUE } from './model/secrets.js'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Loads what the cases need. Older builds have fewer options. */
export async function loadLibrary(folder) {
  const load = file => import(pathToFileURL(resolve(folder, file)))
  const [index, server, testing] = await Promise.all([
    load('index.js'),
    load('server/index.js'),
    load('testing/index.js'),
  ])
  const accepts = options => {
    try {
      new index.SmtpHandler(options).destroy()
      return true
    } catch {
      return false
    }
  }
  const isCurrent = existsSync(join(folder, 'client.js'))
  const client = isCurrent ? { ...(await load('client.js')), ...(await load('relay.js')) } : null
  return {
    ...index,
    ...server,
    duplexPair: testing.duplexPair,
    client,
    folder,
    mechanisms: await makeMechanisms(index),
    // strictness, guesses and unread messages are newer than some builds.
    hasStrictness: isCurrent && accepts({ strictness: 'lenient' }),
    guesses: isCurrent ? { guesses: { credentials: Infinity, checks: 1000 } } : {},
    passThrough: () => new PassThrough(),
  }
}

/** The mechanisms that a case may have: what the server adds is known to the cases. */
async function makeMechanisms({ cramMd5, login, oauthbearer, plain, scramSecret, scramSha256, xoauth2 }) {
  const secret = await scramSecret(PASSWORD, { salt: SALT, iterations: ITERATIONS })
  const lookup = value => user => (/^[a-z]+$/.test(user) ? value : null)
  return {
    PLAIN: plain(),
    LOGIN: login(),
    'SCRAM-SHA-256': scramSha256({ lookup: lookup(secret), iterations: ITERATIONS, nonce: () => NONCE }),
    'CRAM-MD5': cramMd5({ lookup: lookup(PASSWORD), hostname: 'mx.example', nonce: () => UNIQUE }),
    OAUTHBEARER: oauthbearer({ scope: 'mail' }),
    XOAUTH2: xoauth2(),
  }
}
