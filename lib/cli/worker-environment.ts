// What makes a process a worker: its primary gives it a number.

/** The environment variable with a worker's number. */
const WORKER_NUMBER = 'MAILHANDLER_WORKER'

/** Returns the number of this worker, or null in any other process. */
export function workerNumber(): number | null {
  const number = process.env[WORKER_NUMBER]
  return number === undefined || process.send === undefined ? null : Number(number)
}

/** Returns the environment of a worker. */
export function workerEnvironment(number: number): NodeJS.ProcessEnv {
  return { ...process.env, [WORKER_NUMBER]: String(number) }
}
