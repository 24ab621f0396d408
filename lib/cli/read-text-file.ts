// Reads a file that the command line names, and says what is wrong with one.

import { readFileSync } from 'node:fs'

const KNOWN: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder, not a file',
  EACCES: 'this user may not read it',
}

/** Makes the error for a file that cannot be read: what the system says of a folder does not name it. */
export function fileProblem(file: string, cause: unknown): Error {
  const { code, message } = cause as NodeJS.ErrnoException
  return new Error(`${file}: ${KNOWN[String(code)] ?? message}`, { cause })
}

/** Returns the text of a file. Throws an Error that names it. */
export function readTextFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw fileProblem(file, cause)
  }
}
