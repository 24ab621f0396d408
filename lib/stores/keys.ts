// Keys as stores keep them: digests with a secret salt, so that whoever reads a store learns no address.

import { hash, randomBytes } from 'node:crypto'
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { printable } from '../words/printable.ts'
import { wrong } from '../words/option-checks.ts'

/** Octets of each digest. A store with a million keys has two equal ones with a probability below 10⁻¹². */
export const DIGEST_OCTETS = 10
const LEAST_SALT = 16
const SHOWN_CHARACTERS = 100

/** A secret for the digests: text or octets, 16 octets at least. Equal salts give equal keys. */
export type Salt = string | Uint8Array

/** Gives digests as strings of one octet a character. */
export interface Digester {
  /** Of a client key, or a key of `hit` and `know`. */
  key(text: string): string
  /** Of a sender and a recipient. The whole key of a triplet is the client's digest followed by this. */
  pair(sender: string, recipient: string): string
  /** A secret for another purpose, in hexadecimal: it tells nothing of the salt. */
  derive(purpose: string): string
}

/**
 * Digests with a salt: the first octets of SHA-256 over salt and text. Cut short, it does not give
 * away the state that an extension attack needs, so HMAC, at four times the cost, would add nothing.
 */
export function digester(salt: Salt): Digester {
  checkSalt(salt)
  const prefix = hash('sha256', salt, 'hex')
  const digest = (text: string): string => hash('sha256', prefix + text, 'binary').slice(0, DIGEST_OCTETS)
  return {
    key: text => digest(`k${text}`),
    derive: purpose => hash('sha256', `${prefix}d${purpose}`, 'hex'),
    pair: (sender, recipient) => digest(`p${sender.length} ${sender}${recipient}`),
  }
}

/** @throws `ERR_OPTION` for a salt that is too short */
export function checkSalt(salt: Salt): void {
  if (Buffer.byteLength(salt) < LEAST_SALT) throw wrong(`salt: ${LEAST_SALT} octets or more`)
}

/**
 * The salt in a file: 32 random octets in hexadecimal, which the first process to ask creates (mode 0600). Machines that
 * share a store need a copy of one file. Removing the file makes every entry unreadable: all clients begin again.
 * @throws the system's error if the file can neither be read nor created, `ERR_OPTION` if it is too short
 */
export function saltFile(path: string): string {
  try {
    const salt = readFileSync(path, 'utf8').trim()
    checkSalt(salt)
    return salt
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(draft, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
    linkSync(draft, path) // Unlike rename, this never replaces the salt of a process that was faster.
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    try {
      unlinkSync(draft)
    } catch {}
  }
  return saltFile(path)
}

/** A text of an entry as an administrator may see it: no control characters, and not long. */
export function shown(text: string): string {
  return printable(text, SHOWN_CHARACTERS)
}

/** The domain of a sender, in clear; empty for `<>`. */
export function domainOf(sender: string): string {
  return sender.slice(sender.lastIndexOf('@') + 1)
}
