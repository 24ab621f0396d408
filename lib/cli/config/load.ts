// A configuration file and the command line → a Config, or a list of all problems.

import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import type { Delivery, Policy } from '../../smtp/hooks.ts'
import { printable } from '../../words/printable.ts'
import type { Config } from './config.ts'
import { contradictionsIn } from './contradictions.ts'
import { ConfigError, type Problem } from './problems.ts'
import { locateKeys, type KeyPath, type Locate, type Place } from './locate.ts'
import type { Schema } from './leaves.ts'
import { configSchema, readConfig } from './schema.ts'
import { tomlAdvice } from './toml-advice.ts'
import { nearest } from '../../words/nearest.ts'

/** A value from the command line, which overrides the file's. */
export interface Override {
  /** `--listen`, for errors. */
  readonly option: string
  readonly path: KeyPath
  readonly value: unknown
}

/** Policies and a delivery of a program that calls serve(). */
export interface OwnParts {
  readonly policies?: readonly Policy[]
  readonly delivery?: Delivery
}

/** A configuration, and a function for problems that are found later. */
export interface Loaded {
  readonly config: Config
  /** The file that the configuration was read from; null if the defaults apply. */
  readonly file: string | null
  /** The folder that its paths are taken from. */
  readonly folder: string
  /** Policies and a delivery of the program that serves. */
  readonly own?: OwnParts
  /** The keys and tables at the top that the configuration has. */
  readonly given: ReadonlySet<string>
  /** Makes a problem of a key. */
  problem(path: KeyPath, what: string): Problem
}

const ORDER = new Intl.Collator('en', { numeric: true })

/** Reads the text of a configuration; without a file it is empty. Throws a ConfigError. */
export function readConfigText(file: string | null): string {
  return file === null ? '' : readText(file)
}

/** Values from outside of the file. */
export interface Around {
  readonly overrides?: readonly Override[]
  /** For keys that the configuration does not have. */
  readonly defaults?: readonly Override[]
}

/** Checks the text of a configuration file, and fills in the defaults. Throws a ConfigError. */
export function loadConfig(file: string | null, text: string, { overrides = [], defaults = [] }: Around = {}): Loaded {
  const raw = parseToml(text, file)
  const locate = locateKeys(text)
  const maildir = (overrides.findLast(({ path: [key] }) => key === 'maildir')?.value ?? raw['maildir']) as unknown
  const outside = [...overrides, ...defaults.filter(({ path: [key] }) => key !== undefined && !Object.hasOwn(raw, key))]
  for (const { path, value } of outside.toReversed()) put(raw, path, value)

  const problem = (path: KeyPath, what: string): Problem => {
    return { key: path.length === 0 ? null : dotted(path), where: whereIs(path, file, locate, outside), what }
  }
  const folder = file === null ? process.cwd() : dirname(resolve(file))
  const schema = configSchema(folder)
  const unknown = unknownKeys(schema, raw).map(({ path, what }) => problem(path, what))
  const { config, issues } = readConfig(schema, raw)
  const wrong = issues.map(({ path, message }) => problem(path, message))
  const contradictions = issues.length === 0 ? contradictionsIn(config, problem, maildir) : []
  const problems = [...unknown, ...wrong, ...contradictions]
  if (problems.length > 0) throw new ConfigError(problems.toSorted(byPlace))
  return { config, file, folder, given: new Set(Object.keys(raw)), problem }
}

function readText(file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const what =
      code === 'ENOENT' ? `there is no such file${isAbsolute(file) ? '' : ` in ${process.cwd()}`}` : printable(message)
    throw new ConfigError([{ key: null, where: file, what }])
  }
}

function parseToml(text: string, file: string | null): Record<string, unknown> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const reason = error.message.split('\n', 1)[0]!.replace(/^Invalid TOML document: /, '')
    const what = printable(`no valid TOML: ${reason}; ${tomlAdvice(reason)}`)
    throw new ConfigError([{ key: null, where: `${file}:${error.line}:${error.column}`, what }])
  }
}

function byPlace(a: Problem, b: Problem): number {
  return ORDER.compare(a.where ?? '', b.where ?? '')
}

function put(raw: Record<string, unknown>, path: KeyPath, value: unknown): void {
  let table = raw
  for (const key of path.slice(0, -1)) {
    const inner = Object.hasOwn(table, key) ? table[key] : undefined
    table = (table[key] = typeof inner === 'object' && inner !== null ? inner : {}) as Record<string, unknown>
  }
  table[path.at(-1)!] = value
}

function whereIs(path: KeyPath, file: string | null, locate: Locate, overrides: readonly Override[]): string | null {
  const over = overrides.find(({ path: set }) => set.every((key, i) => key === path[i]))
  if (over !== undefined) return over.option
  const place: Place | null = locate(path)
  if (file === null) return null
  return place === null ? file : `${file}:${place.line}:${place.column}`
}

function dotted(path: KeyPath): string {
  return path
    .map(key =>
      typeof key === 'number' ? `[${key}]` : `.${/^[\w-]+$/.test(key) ? key : printable(JSON.stringify(key), 100)}`,
    )
    .join('')
    .replace(/^\./, '')
}

/** Finds keys that the schema does not have, which it ignores. */
function unknownKeys(
  schema: Schema<unknown>,
  value: unknown,
  path: KeyPath = [],
  top: Schema<unknown> = schema,
): { path: KeyPath; what: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const { item, entries } = schema
  if (item !== undefined) {
    return Array.isArray(value) ? value.flatMap((each: unknown, i) => unknownKeys(item, each, [...path, i], top)) : []
  }
  if (entries === undefined || Array.isArray(value)) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    if (Object.hasOwn(entries, key)) return unknownKeys(entries[key]!, inner, [...path, key], top)
    return [{ path: [...path, key], what: `there is no such key; ${hintFor(key, entries, top)}` }]
  })
}

/** In TOML a key belongs to the table whose header is the last one above it. */
function hintFor(key: string, entries: object, { entries: all = {} }: Schema<unknown>): string {
  if (entries !== all && Object.hasOwn(all, key)) return `${key} belongs above the first [table]`
  const near = nearest(key, Object.keys(entries))
  return near === null ? `there are ${Object.keys(entries).join(', ')}` : `did you mean ${near}?`
}
