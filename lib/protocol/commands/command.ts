// A command line, split into verb and argument.

import { COMMANDS } from './command-table.ts'

/** A command as the client sent it. [RFC 5321 §4.1.1] */
export interface Command {
  /** The verb in upper case: `'MAIL'`. */
  readonly verb: string
  /** The text behind the verb and the space after it, without white space at its end: `'FROM:<a@b.example> SIZE=1000'`. */
  readonly argument: string
  /** The words of the line, split at white space; the first is the verb as it came. */
  readonly words: readonly string[]
  /** The whole line without its CRLF. */
  readonly line: string
}

// oxlint-disable-next-line no-control-regex -- all of ASCII is meant
const NOT_ASCII = /[^\x00-\x7f]/

const SPACE = 32
const TAB = 9

/** Converts ASCII only: 'ı' and 'ſ' would become 'I' and 'S'. */
function upperCase(verb: string): string {
  return NOT_ASCII.test(verb) ? verb : verb.toUpperCase()
}

/** Without spaces and tabs at the end, which receivers tolerate. [RFC 5321 §4.1.1] */
function trimEnd(line: string): string {
  let end = line.length
  for (let code = line.charCodeAt(end - 1); code === SPACE || code === TAB; code = line.charCodeAt(end - 1)) end--
  return line.slice(0, end)
}

class ParsedCommand implements Command {
  declare readonly verb: string // declared: a field costs a function of its own
  declare readonly argument: string
  declare readonly line: string

  constructor(line: string) {
    const last = line.charCodeAt(line.length - 1)
    const text = last === SPACE || last === TAB ? trimEnd(line) : line // most lines need no call
    const space = text.indexOf(' ')
    const verb = space === -1 ? text : text.slice(0, space)
    this.verb = COMMANDS.has(verb) ? verb : upperCase(verb)
    this.argument = space === -1 ? '' : text.slice(space + 1)
    this.line = line
  }

  get words(): readonly string[] {
    return this.line.split(/[ \t]+/).filter(word => word !== '')
  }
}

/** Parses a line without its CRLF. Never fails: an invalid line has an unknown verb. */
export function parseCommand(line: string): Command {
  return new ParsedCommand(line)
}
