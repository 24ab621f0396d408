// Checks of option values. Each throws `ERR_OPTION`.

import { MailHandlerError } from './errors.ts'

/** Checks that all numbers are above 0, and fills in the defaults. */
export function numbers<T extends object>(name: string, defaults: T, given: Readonly<Partial<T>>): T {
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, key)) throw wrong(`${name}.${key}: there is no such option`)
    if (value !== undefined && !(typeof value === 'number' && value > 0))
      throw wrong(`${name}.${key} is a number above 0`)
  }
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.freeze({ ...defaults, ...Object.fromEntries(set) })
}

/** Checks for true or false. @returns false if the value is undefined */
export function flag(name: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw wrong(`${name} is true or false`)
  return value ?? false
}

/** Checks for a number that is not below `least`. */
export function atLeast(name: string, least: number, value: number): number {
  if (typeof value !== 'number' || !(value >= least)) throw wrong(`${name} is a number, ${least} or more; 0: no limit`)
  return value
}

/** Makes the error for a wrong option. */
export function wrong(message: string): MailHandlerError {
  return new MailHandlerError('ERR_OPTION', message)
}
