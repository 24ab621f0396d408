import { LineScanner, type Emit } from './line-scanner.ts'

/**
 * Doubles or drops each dot that begins a line: of the data, or behind CRLF, never behind a bare CR or LF. The result is
 * the same however the data is cut into chunks. [RFC 5321 §4.5.2]
 */
export class LineDots extends LineScanner {
  constructor(edit: 'double' | 'drop') {
    super({ endOfData: false, dots: edit, bareNewline: 'allow' })
  }

  /** Takes the next octets and emits them edited, as slices of the chunk if they need no edit. */
  edit(chunk: Buffer, emit: Emit): void {
    this.scan(chunk, 0, emit)
  }
}
