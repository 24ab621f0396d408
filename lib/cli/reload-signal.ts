// SIGHUP, from the first moment on: a signal that comes while the command still loads must not end it.

let reload: (() => void) | null = null
let received = false

/** Takes over SIGHUP. Called before anything else is loaded. */
export function catchReloadSignal(): void {
  process.on('SIGHUP', () => {
    if (reload === null) received = true
    else reload()
  })
}

/** Calls `listener` at each SIGHUP, also for one that came before. */
export function onReloadSignal(listener: () => void): void {
  reload = listener
  if (received) listener()
  received = false
}
