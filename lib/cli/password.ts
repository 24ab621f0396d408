// `mailhandler password USER`: reads a password, from a terminal without showing it, and makes the line for the file of
// users.

import { isUtf8 } from 'node:buffer'
import type { ReadStream } from 'node:tty'
import { saslprep } from '../sasl/saslprep.ts'
import { SECRET_OCTETS } from '../smtp/auth/names.ts'
import { UsageError } from './command-line.ts'
import { print } from './output.ts'
import { userLine } from './users.ts'

/** What the line of a name would not be read as: the end of the name, a comment, the end of the line. */
const REFUSED = /[:#\p{Cc}\p{Cs}\uFFFD]/u
const ENTER: ReadonlySet<string> = new Set(['\r', '\n'])
const ERASE: ReadonlySet<string> = new Set(['\b', '\u007F'])
const ERASE_ALL = '\u0015'
/** What Ctrl-D sends. */
const END = '\u0004'
const CANCEL: ReadonlySet<string> = new Set(['\u0003', END])
const PRINTABLE = /^\P{Cc}$/u

/** Makes the line of a user; the password comes from standard input. Throws a UsageError for what cannot be one. */
export async function passwordLine(name: string | undefined): Promise<string> {
  if (name === undefined) throw new UsageError('password takes the name of a user')
  const user = await checkName(name)
  const password = process.stdin.isTTY ? await askTwice(process.stdin) : await readAll(process.stdin)
  if (password === '') throw new UsageError('the password is empty')
  if (Buffer.byteLength(password) > SECRET_OCTETS) {
    throw new UsageError(`the password is longer than the ${SECRET_OCTETS} octets that clients may send`)
  }
  return userLine(user, password)
}

/** Returns the name as a client's is compared with it. */
async function checkName(name: string): Promise<string> {
  if (REFUSED.test(name)) {
    throw new UsageError('the name of a user is one line of UTF-8 without a colon, "#" or a control character')
  }
  if (name.trim() !== name) throw new UsageError('the name of a user does not begin or end with a space')
  const prepared = await saslprep(name, 'stored')
  if (prepared === null || REFUSED.test(prepared)) {
    throw new UsageError('the name of a user is empty or has a character that RFC 4013 prohibits')
  }
  if (Buffer.byteLength(prepared) > SECRET_OCTETS) {
    throw new UsageError(`the name of a user is at most ${SECRET_OCTETS} octets long`)
  }
  return prepared
}

/** Reads a password that is piped in; a line feed at its end is not part of it. */
async function readAll(input: AsyncIterable<Buffer | string>): Promise<string> {
  let octets = Buffer.alloc(0)
  for await (const chunk of input) {
    octets = Buffer.concat([octets, Buffer.from(chunk)])
    if (octets.length > SECRET_OCTETS + 2) break // It is too long; the caller says so.
  }
  if (!isUtf8(octets) && octets.length <= SECRET_OCTETS + 2) throw new UsageError('the password is not UTF-8')
  return octets.toString().replace(/\r?\n$/, '')
}

/** Asks for a password on a terminal, twice, and shows nothing of it. */
async function askTwice(terminal: ReadStream): Promise<string> {
  terminal.setRawMode(true)
  terminal.setEncoding('utf8')
  try {
    const typed = characters(terminal)
    const password = await askHidden('Password: ', typed)
    if (password !== (await askHidden('Again: ', typed))) throw new UsageError('the two passwords differ')
    return password
  } finally {
    terminal.setRawMode(false)
    terminal.pause()
  }
}

async function askHidden(prompt: string, typed: AsyncIterator<string, void>): Promise<string> {
  await print(process.stderr, prompt)
  const password: string[] = []
  for (;;) {
    const next = await typed.next()
    const character = next.done === true ? END : next.value
    if (CANCEL.has(character) || ENTER.has(character)) await print(process.stderr, '\n')
    if (CANCEL.has(character)) throw new UsageError('cancelled')
    if (ENTER.has(character)) return password.join('')
    if (ERASE.has(character)) password.pop()
    else if (character === ERASE_ALL) password.length = 0
    else if (PRINTABLE.test(character)) password.push(character)
  }
}

async function* characters(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const chunk of chunks) yield* chunk
}
