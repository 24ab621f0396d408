// The octets that delimit lines and mail data.

export const CR = 13
export const LF = 10
export const DOT = 46

/** True if the line has more octets in UTF-8. A UTF-16 unit is at most three octets, so short lines are not counted. */
export function longerThan(line: string, octets: number): boolean {
  return line.length * 3 > octets && Buffer.byteLength(line) > octets
}
