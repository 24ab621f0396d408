// Schemas of the values of a configuration. Each says in words what is allowed, for error messages.

import { resolve } from 'node:path'
import * as v from 'valibot'
import { networks } from '../../protocol/networks/network.ts'
import { printable } from '../../words/printable.ts'

/** A schema that makes a T of a value of the file. */
export type Schema<T> = v.GenericSchema<unknown, T>

/** Makes the schema of a value. For a value that is not allowed, `read` returns null, or throws an Error that says why. */
export function leaf<T>(allowed: string, read: (value: unknown) => T | null): Schema<T> {
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, T>(({ dataset, addIssue, NEVER }) => {
      let why = allowed
      try {
        const value = read(dataset.value)
        if (value !== null) return value
      } catch (error) {
        why = (error as Error).message
      }
      addIssue({ message: `${show(dataset.value)} is not allowed here: ${why}` })
      return NEVER
    }),
  )
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
  const array = v.array(item, issue => `${show(issue.input)} is not allowed here: ${what}`)
  return least === 0 ? array : v.pipe(array, v.minLength(least, `an empty list is not allowed here: ${what}`))
}

type Entries = Readonly<Record<string, v.GenericSchema>>
type Shape<T> = { readonly [Key in keyof Required<T>]: v.GenericSchema }

/** Makes the schema of a table. Its keys are snake_case in the file and camelCase in the value. */
export function table<T extends object>(entries: Shape<T>): Schema<T> {
  const snake = Object.fromEntries(Object.entries(entries as Entries).map(([key, schema]) => [snakeCase(key), schema]))
  return v.pipe(
    v.object(snake, issue =>
      issue.input === undefined ? 'is missing' : `${show(issue.input)} is not allowed here: a table`,
    ),
    v.transform(value => Object.fromEntries(Object.entries(value).map(([key, inner]) => [camelCase(key), inner])) as T),
  )
}

/** Makes a schema optional, with a default or without. */
export function maybe<T>(schema: Schema<T>, absent?: unknown): v.GenericSchema {
  return absent === undefined ? v.optional(schema) : v.optional(schema, absent as never)
}

/** Returns `per_client` for `perClient`. Words in capitals, such as names of extensions, stay as they are. */
export function snakeCase(key: string): string {
  return key === key.toUpperCase() ? key : key.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

function camelCase(key: string): string {
  return key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function inRange(value: number, from: number, to: number): boolean {
  return value >= from && value <= to
}

function show(value: unknown): string {
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a table'
  return printable(typeof value === 'string' ? JSON.stringify(value) : `${value as number}`, 100)
}
