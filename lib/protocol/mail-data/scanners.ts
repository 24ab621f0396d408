// What the two ways that mail data comes in want of the scanner.

import type { BareNewline } from './line-rules.ts'
import { LineScanner, type Emit } from './line-scanner.ts'

export type { BareNewline } from './line-rules.ts'
export type { Emit } from './line-scanner.ts'

/** What a {@link DataScanner} or a {@link ChunkScanner} emits. */
export interface ScannerOptions {
  /** True: the mail data itself, transparency removed. False: as DATA sends it, stuffed. [RFC 5321 §4.5.2] */
  readonly unstuff: boolean
  readonly bareNewline: BareNewline
}

/** The mail data of DATA: ends with CRLF.CRLF and nothing else. [RFC 5321 §4.1.1.4] */
export class DataScanner extends LineScanner {
  constructor({ unstuff, bareNewline }: ScannerOptions) {
    super({ endOfData: true, dots: unstuff ? 'drop' : 'keep', bareNewline })
  }
}

/** The mail data of BDAT: octets that are counted, without transparency. [RFC 3030 §2] */
export class ChunkScanner extends LineScanner {
  constructor({ unstuff, bareNewline }: ScannerOptions) {
    super({ endOfData: false, dots: unstuff ? 'keep' : 'double', bareNewline })
  }

  /** Takes the next octets. */
  take(piece: Buffer, emit: Emit): void {
    this.scan(piece, 0, emit)
  }
}
