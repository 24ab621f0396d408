// What becomes of each octet of mail data, as a table: a row for each state, a cell for each kind of octet.
//
// CRLF.CRLF alone ends mail data, and a line begins behind CRLF. If bare newlines are normalized, one begins behind a bare
// LF too: in DATA one of two dots there is dropped, a single one is content. CR CR LF is a CRLF.

import { CR, DOT, LF } from '../../words/octets.ts'

/** What a bare CR or LF in mail data gets: see `bareNewline`. */
export type BareNewline = 'reject' | 'normalize' | 'allow'

/** What a scanner of mail data does. */
export interface LineRules {
  /** CRLF.CRLF ends the data, and a dot that begins a line is transparency. [RFC 5321 §4.5.2] */
  readonly endOfData: boolean
  /** What becomes of a dot that begins a line. What is kept stays stuffed, also where bare newlines are normalized. */
  readonly dots: 'keep' | 'drop' | 'double'
  /**
   * `reject`: nothing is emitted from the first bare CR or LF on. `normalize`: a bare LF, and all CRs directly before an
   * LF with it, become CRLF; any other CR becomes a space. `allow`: they are emitted as they are.
   */
  readonly bareNewline: BareNewline
}

/** The states, each the offset of its row in the table: a row has a cell for each octet. */
export const STATES = {
  /** In the middle of a line. */
  TEXT: 0,
  /** Behind a CR, which is held unless bare ones are allowed. */
  AFTER_CR: 0x100,
  /** Behind several CRs, all held. */
  AFTER_CRS: 0x200,
  /** At the beginning of a line: of the data, or behind CRLF. */
  LINE: 0x300,
  /** Behind a dot at the beginning of a line; it is held. */
  LINE_DOT: 0x400,
  /** Behind such a dot and a CR; both are held. */
  LINE_DOT_CR: 0x500,
  /** Behind a bare LF of DATA that became CRLF. */
  BARE_LINE: 0x600,
  /** Behind a dot there. */
  BARE_DOT: 0x700,
} as const

/** What a cell says, by its bits. */
export const CELL = {
  /** The octet is taken; otherwise the cell of the next state is for it too. */
  TAKE: 0x01,
  /** The octet is written, behind the prefix. */
  WRITE: 0x02,
  /** What is written has a dot of transparency. */
  STUFFED: 0x800,
  /** The end of data. */
  END: 0x04,
  /** A bare CR or LF that is rejected. */
  OFFENCE: 0x08,
  /** The octet is one more CR to hold. */
  COUNT: 0x10,
  /** The CRs that were counted become spaces, or nothing before an LF. */
  SPACES: 0x20,
  /** One of these four. */
  SPECIAL: 0x3c,
  /** The prefix, written first, has octets: one or two, from bit LENGTH on, which are from bits FIRST and SECOND on. */
  PREFIX: 0xc0,
  LENGTH: 6,
  FIRST: 16,
  SECOND: 24,
  /** The next state. */
  NEXT: 0x700,
} as const

type Row = readonly [other: number, dot: number, cr: number, lf: number]

const { TEXT, AFTER_CR, AFTER_CRS, LINE, LINE_DOT, LINE_DOT_CR, BARE_LINE, BARE_DOT } = STATES
const { TAKE, WRITE, STUFFED, END, OFFENCE, COUNT, SPACES } = CELL
const COPY = TAKE | WRITE

/** A cell: writes the prefix, does with the octet as `act` says, and goes on in the state `next`. */
function cell(prefix: string, act: number, next: number): number {
  const [first = 0, second = 0] = Buffer.from(prefix)
  return (second << CELL.SECOND) | (first << CELL.FIRST) | (prefix.length << CELL.LENGTH) | act | next
}

/** The place of each rule in the list of tables. */
const DOTS_AT = { keep: 0, drop: 3, double: 6 } as const
const BARE_NEWLINE_AT = { reject: 0, normalize: 1, allow: 2 } as const
const tables: (Int32Array | undefined)[] = []

/** The table of the rules: the cell of an octet is at the offset of the state plus the octet. */
export function tableOf(rules: LineRules): Int32Array {
  const at = (rules.endOfData ? 9 : 0) + DOTS_AT[rules.dots] + BARE_NEWLINE_AT[rules.bareNewline]
  return (tables[at] ??= makeTable(rowsOf(rules)))
}

function makeTable(rows: readonly Row[]): Int32Array {
  const table = new Int32Array(256 * rows.length)
  for (const [i, [other, dot, cr, lf]] of rows.entries()) {
    const row = table.subarray(256 * i, 256 * (i + 1)).fill(other)
    row[DOT] = dot
    row[CR] = cr
    row[LF] = lf
  }
  return table
}

/** The rows, in the order of the states. */
function rowsOf({ endOfData, dots, bareNewline }: LineRules): Row[] {
  const text = textRow(bareNewline, endOfData ? BARE_LINE : LINE)
  const kept = dots === 'keep' ? '.' : ''
  return [
    text,
    crRow(bareNewline),
    crsRow,
    [text[0], endOfData ? cell('', TAKE, LINE_DOT) : freeDot[dots], text[2], text[3]],
    lineDotRow(bareNewline, kept),
    lineDotCrRow(bareNewline, kept),
    // One of two dots is transparency, and a single one is content, stuffed if that is kept: the result is the same.
    [text[0], cell(kept, COPY | stuffed(kept), BARE_DOT), text[2], text[3]],
    [text[0], cell('', TAKE, TEXT), text[2], text[3]],
  ]
}

const copy = cell('', COPY, TEXT)
const hold = cell('', TAKE, AFTER_CR)
const holdAnother = cell('', TAKE | COUNT, AFTER_CRS)
const lineEnd = cell('\r\n', TAKE, LINE)

function textRow(bareNewline: BareNewline, afterLF: number): Row {
  switch (bareNewline) {
    case 'reject':
      return [copy, copy, hold, cell('', TAKE | OFFENCE, TEXT)]
    case 'normalize':
      return [copy, copy, hold, cell('\r\n', TAKE, afterLF)]
    case 'allow':
      return [copy, copy, cell('', COPY, AFTER_CR), copy]
  }
}

function crRow(bareNewline: BareNewline): Row {
  const offence = cell('', OFFENCE, AFTER_CR)
  const space = cell(' ', COPY, TEXT)
  switch (bareNewline) {
    case 'reject':
      return [offence, offence, offence, lineEnd]
    case 'normalize':
      return [space, space, holdAnother, lineEnd]
    case 'allow':
      return [copy, copy, cell('', COPY, AFTER_CR), cell('', COPY, LINE)]
  }
}

const crsRow: Row = [cell(' ', SPACES, TEXT), cell(' ', SPACES, TEXT), holdAnother, cell('\r\n', TAKE | SPACES, LINE)]

/** A dot that begins a line, of data that has no transparency. */
const freeDot = { keep: copy, drop: cell('', TAKE, TEXT), double: cell('.', COPY | STUFFED, TEXT) }

/** The bit of a cell that writes a dot of transparency. */
function stuffed(dot: string): number {
  return dot === '' ? 0 : STUFFED
}

/** `dot`: what is kept of transparency. Before what becomes CRLF it is not, as it would make an end of data there. */
function lineDotRow(bareNewline: BareNewline, dot: string): Row {
  const plain = cell(dot, COPY | stuffed(dot), TEXT)
  const lf = {
    reject: cell(dot, TAKE | OFFENCE | stuffed(dot), TEXT),
    normalize: cell('\r\n', TAKE, BARE_LINE),
    allow: plain,
  }
  return [plain, plain, cell('', TAKE, LINE_DOT_CR), lf[bareNewline]]
}

function lineDotCrRow(bareNewline: BareNewline, dot: string): Row {
  const end = cell('', TAKE | END, LINE)
  const offence = cell(dot, OFFENCE | stuffed(dot), AFTER_CR)
  const space = cell(' ', COPY, TEXT)
  const plain = cell(`${dot}\r`, COPY | stuffed(dot), TEXT)
  switch (bareNewline) {
    case 'reject':
      return [offence, offence, offence, end]
    case 'normalize':
      return [space, space, holdAnother, end]
    case 'allow':
      return [plain, plain, cell(`${dot}\r`, COPY | stuffed(dot), AFTER_CR), end]
  }
}
