// Schemas of the values of a configuration. Each says in words what is allowed, for error messages.

import { resolve } from 'node:path'
import { networks } from '../../protocol/networks/network.ts'
import { printable } from '../../words/printable.ts'
import type { KeyPath } from './locate.ts'

/** A value that is not allowed. */
export interface Issue {
  readonly path: KeyPath
  readonly message: string
}

/** A schema that makes a T of a value of the file. */
export interface Schema<T> {
  /** Adds an issue for each value that is not allowed; what it returns is then of no use. */
  read(value: unknown, path: KeyPath, issues: Issue[]): T
  /** The keys of a table. */
  readonly entries?: Readonly<Record<string, Schema<unknown>>>
  /** What the members of a list are. */
  readonly item?: Schema<unknown>
  /** True if the key may be absent. */
  readonly isOptional?: boolean
}

/** Makes the schema of a value. For a value that is not allowed, `read` returns null, or throws an Error that says why. */
export function leaf<T>(allowed: string, read: (value: unknown) => T | null): Schema<T> {
  return {
    read(value, path, issues) {
      let why = allowed
      try {
        const result = read(value)
        if (result !== null) return result
      } catch (error) {
        why = (error as Error).message
      }
      return refuse(value, why, path, issues)
    },
  }
}

/** Makes the schema of one of several words. */
export function oneOf<const T extends string>(...words: readonly T[]): Schema<T> {
  const allowed = `one of ${words.map(word => `"${word}"`).join(', ')}`
  return leaf(allowed, value => words.find(word => word === value) ?? null)
}

/** Makes the schema of a whole number in a range. */
export function whole(from: number, to: number = Number.MAX_SAFE_INTEGER): Schema<number> {
  const allowed = to === Number.MAX_SAFE_INTEGER ? `a whole number from ${from}` : `a whole number, ${from} to ${to}`
  return leaf(allowed, value =>
    Number.isSafeInteger(value) && inRange(value as number, from, to) ? Number(value) : null,
  )
}

/** Makes the schema of a text that is one line and not empty. */
export function line(allowed: string, form: RegExp = /^[^\p{Cc}]+$/u): Schema<string> {
  return leaf(allowed, value => (typeof value === 'string' && form.test(value) ? value : null))
}

export const flag: Schema<boolean> = leaf('true or false', value => (typeof value === 'boolean' ? value : null))

/** Networks and single addresses. */
export const network: Schema<string> = leaf('a network such as "192.0.2.0/24" or "2001:db8::/32"', value => {
  if (typeof value !== 'string') return null
  networks([value])
  return value
})

/** Makes the schema of a path, relative to the folder of the configuration; the value is absolute. */
export function path(folder: string): Schema<string> {
  const allowed = 'a path, absolute or from the folder of this file'
  return leaf(allowed, value => {
    return typeof value === 'string' && value !== '' && !value.includes('\0') ? resolve(folder, value) : null
  })
}

/** Makes the schema of a list with at least `least` members. */
export function list<T>(item: Schema<T>, what: string, least = 0): Schema<T[]> {
  return {
    item,
    read(value, path, issues) {
      if (!Array.isArray(value)) return refuse(value, what, path, issues)
      if (value.length < least) issues.push({ path, message: `an empty list is not allowed here: ${what}` })
      return value.map((each, i) => item.read(each, [...path, i], issues))
    },
  }
}

type Shape<T> = { readonly [Key in keyof Required<T>]: Schema<unknown> }

/**
 * Makes the schema of a table. Its keys are snake_case in the file and camelCase in the value. Keys that it does not have
 * are ignored.
 */
export function table<T extends object>(shape: Shape<T>): Schema<T> {
  const keys = Object.entries<Schema<unknown>>(shape)
  const entries = Object.fromEntries(keys.map(([key, schema]) => [snakeCase(key), schema]))
  return {
    entries,
    read(value, path, issues) {
      if (!isTable(value)) return refuse(value, 'a table', path, issues)
      const result: Record<string, unknown> = {}
      for (const [key, schema] of keys) {
        const name = snakeCase(key)
        const inner = readKey(schema, Object.hasOwn(value, name) ? value[name] : undefined, [...path, name], issues)
        if (inner !== undefined) result[key] = inner
      }
      return result as T
    },
  }
}

/** Makes a schema optional, with a default or without. */
export function maybe<T>(schema: Schema<T>, absent?: unknown): Schema<T | undefined> {
  return {
    ...schema,
    isOptional: true,
    read: (value = absent, path, issues) => (value === undefined ? undefined : schema.read(value, path, issues)),
  }
}

function readKey(schema: Schema<unknown>, value: unknown, path: KeyPath, issues: Issue[]): unknown {
  if (value !== undefined || schema.isOptional === true) return schema.read(value, path, issues)
  issues.push({ path, message: 'is missing' })
  return undefined
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/** Typed for the callers, which have to return something. */
function refuse(value: unknown, allowed: string, path: KeyPath, issues: Issue[]): never {
  issues.push({ path, message: `${show(value)} is not allowed here: ${allowed}` })
  return undefined as never
}

/** Returns `per_client` for `perClient`. Words in capitals, such as names of extensions, stay as they are. */
export function snakeCase(key: string): string {
  return key === key.toUpperCase() ? key : key.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

function inRange(value: number, from: number, to: number): boolean {
  return value >= from && value <= to
}

function show(value: unknown): string {
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a table'
  return printable(typeof value === 'string' ? JSON.stringify(value) : `${value as number}`, 100)
}
