// The secret of the status page, from its file.

import { readFileSync } from 'node:fs'

const SHORTEST = 16

/** Reads the token: the first line of the file. Throws an error that says what is wrong, without the token. */
export function readToken(file: string): string {
  const [line = ''] = readFileSync(file, 'utf8').split(/\r?\n/, 1)
  if (!/^[!-~]+$/.test(line))
    throw new Error(`${file}: the first line is to be a token of printable ASCII, without spaces`)
  if (line.length < SHORTEST)
    throw new Error(`${file}: the token is to have ${SHORTEST} characters at least: openssl rand -hex 16`)
  return line
}
