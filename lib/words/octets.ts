// The octets that SMTP cuts by.

export const CR = 13
export const LF = 10
export const DOT = 46
export const CRLF = '\r\n'

/** True for a line of more octets in UTF-8: a character is at most three in UTF-8 for each UTF-16 unit. */
export function longerThan(line: string, octets: number): boolean {
  return line.length * 3 > octets && Buffer.byteLength(line) > octets
}
