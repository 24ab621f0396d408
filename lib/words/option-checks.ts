// Checks of option values; each throws `ERR_OPTION`.

import { MailHandlerError } from './errors.ts'

/** Numbers above 0, with the defaults in the place of those that are not given. */
export function numbers<T extends object>(name: string, defaults: T, given: Readonly<Partial<T>>): T {
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, key)) throw wrong(`${name}.${key}: there is no such option`)
    if (value !== undefined && !(typeof value === 'number' && value > 0))
      throw wrong(`${name}.${key} is a number above 0`)
  }
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.freeze({ ...defaults, ...Object.fromEntries(set) })
}

/** True or false; false where it is not given. */
export function flag(name: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw wrong(`${name} is true or false`)
  return value ?? false
}

export function atLeast(name: string, least: number, value: number): number {
  if (typeof value !== 'number' || !(value >= least)) throw wrong(`${name} is a number, ${least} or more; 0: no limit`)
  return value
}

/** The error for an option that is wrong. */
export function wrong(message: string): MailHandlerError {
  return new MailHandlerError('ERR_OPTION', message)
}
