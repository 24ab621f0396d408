// A log of events: a line for each, of JSON or of text.

import type { LineParts } from './text-line.ts'

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** How much an event matters; a log with the level `silent` has none. */
export type Level = (typeof LEVELS)[number]

/** Logs a text, or fields and a text. */
export interface LogLine {
  (text: string): void
  (fields: object, text?: string): void
}

/** A log of events. */
export interface Logger {
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
  readonly fatal: LogLine
  /** Whether events of this level are logged: ask before fields are collected that cost something. */
  isLevelEnabled(level: Level): boolean
}

/** Options of {@link createLogger}. */
export interface LoggerOptions {
  /** The least level that is logged. @defaultValue info */
  readonly level?: Level
  /** Fields of every line, behind `level` and `time`. */
  readonly base?: object
  /** Makes a line of its parts. @defaultValue {@link jsonLine} */
  readonly format?: (parts: LineParts) => string
  /** Gets each line, without its end. */
  write(line: string): void
}

/** Makes a log. */
export function createLogger({ level = 'info', base = {}, format = jsonLine, write }: LoggerOptions): Logger {
  const least = LEVELS.indexOf(level)
  const isLevelEnabled = (asked: Level): boolean => LEVELS.indexOf(asked) >= least
  const at = (name: Level): LogLine => {
    if (!isLevelEnabled(name)) return () => {}
    return (fields: object | string, text?: string) => {
      const [own, msg] = typeof fields === 'string' ? [{}, fields] : [fields, text]
      write(format({ level: name, base, fields: own, msg }))
    }
  }
  const [debug, info, warn, error, fatal] = [at('debug'), at('info'), at('warn'), at('error'), at('fatal')]
  return { debug, info, warn, error, fatal, isLevelEnabled }
}

/** Formats a line as JSON. It never throws for a field that JSON cannot show; the line then says so. */
export function jsonLine({ level, base, fields, msg }: LineParts): string {
  const head = { level, time: new Date().toISOString(), ...base }
  try {
    return JSON.stringify({ ...head, ...fields, msg })
  } catch (error) {
    return JSON.stringify({ ...head, unloggable: (error as Error).message, msg })
  }
}
