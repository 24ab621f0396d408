// Calls to the program that uses a store.

import { warn } from '../log/warn.ts'

/** The listener; what it throws becomes a warning of the process, since no store may fail by it. */
export function safeListener<T>(listener: (value: T) => void): (value: T) => void {
  return value => {
    try {
      listener(value)
    } catch (error) {
      warn(error)
    }
  }
}

/** The default listener for warnings of a store: a warning of the process. */
export function emitStoreWarning(message: string): void {
  process.emitWarning(message, 'StoreWarning')
}
