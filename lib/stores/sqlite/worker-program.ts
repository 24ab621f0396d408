// Where the worker's program is. Imported only when a worker is started: see worker-link.ts.

export const WORKER_PROGRAM: URL = new URL('./worker.js', import.meta.url)
