export function lineLog(_path: string): { write(line: string): void } {
  return { write() {} }
}
