// Checks of option values; each throws `ERR_OPTION`.

import { MailHandlerError } from './errors.ts'
import { nearest } from './nearest.ts'

/**
 * Refuses what is not an object, and keys that are not known; `name` is of the object, empty for options themselves.
 * `hint` may say what a key is that is not known; else it is the known one that is nearest.
 */
export function checkKeys(
  name: string,
  given: unknown,
  known: Iterable<string>,
  hint: (key: string) => string | null = () => null,
): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrong(`${name === '' ? 'options' : name} is an object, not ${show(given)}`)
  }
  const keys = new Set(known)
  for (const key of Object.keys(given)) {
    if (keys.has(key)) continue
    const full = name === '' ? key : `${name}.${key}`
    throw wrong(`${full}: there is no such option${hint(key)?.replace(/^/, '; ') ?? didYouMean(key, keys)}`)
  }
}

/** `; did you mean size?`, or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const meant = nearest(word, known)
  return meant === null ? '' : `; did you mean ${meant}?`
}

/** A value as an error can show it. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

/** Numbers above 0, with the defaults in place of those that are not given. */
export function numbers<T extends object>(name: string, defaults: T, given: Readonly<Partial<T>>): T {
  checkKeys(name, given, Object.keys(defaults))
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  for (const [key, value] of set) {
    if (!(typeof value === 'number' && value > 0)) throw wrong(`${name}.${key} is a number above 0, not ${show(value)}`)
  }
  return Object.freeze({ ...defaults, ...Object.fromEntries(set) })
}

/** True or false; false if it is not given. */
export function flag(name: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw wrong(`${name} is true or false, not ${show(value)}`)
  return value ?? false
}

/** A number of at least `least`. */
export function atLeast(name: string, least: number, value: number): number {
  if (typeof value === 'number' && value >= least) return value
  throw wrong(`${name} is a number, ${least} or more (0: no limit), not ${show(value)}`)
}

/** Refuses what is not iterable, and a string, which is: letter by letter. */
export function checkList(name: string, given: unknown): void {
  const isText = typeof given === 'string'
  if (!isText && typeof (given as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator] === 'function') {
    return
  }
  throw wrong(`${name} is a list, not ${show(given)}${isText ? `; for one entry, give [${show(given)}]` : ''}`)
}

/** The names of the methods that a class adds to `base`, a prototype. */
export function methodsOf(prototype: object, base: object): Set<string> {
  const names = new Set<string>()
  for (let each = prototype; each !== base && each !== Object.prototype; each = Object.getPrototypeOf(each) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(each))) {
      if (typeof value === 'function' && name !== 'constructor') names.add(name)
    }
  }
  return names
}

/** Refuses what is no function; nothing is allowed. */
export function checkFunction(name: string, given: unknown): void {
  if (given !== undefined && typeof given !== 'function') throw wrong(`${name} is a function, not ${show(given)}`)
}

/** A clock is an object with the methods of one. */
export function checkClock<T extends object>(clock: T): T {
  const { now, after } = Object(clock) as Readonly<Record<string, unknown>>
  if (typeof now === 'function' && typeof after === 'function') return clock
  throw wrong(`clock is an object with now() and after(), not ${show(clock)}`)
}

/** The error for an option that is wrong. */
export function wrong(message: string): MailHandlerError {
  return new MailHandlerError('ERR_OPTION', message)
}
