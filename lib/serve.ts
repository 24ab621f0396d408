// mailhandler/serve: what `mailhandler serve` does, in a program of one's own. Loads nothing before it is called.
/// <reference types="node" preserve="true" />

import type { ServeOptions } from './cli/program.ts'

export type { ServeOptions } from './cli/program.ts'
export type { ModuleContext, PolicyModule } from './cli/modules.ts'

/**
 * Serves as the command does: with its configuration, logs, metrics, workers, and signals (SIGHUP reads the file again,
 * SIGTERM and SIGINT end it). Resolves with the exit code once it has ended. With `workers`, the program is started once
 * more for each: what comes before this call happens in each, and in a worker it does not return.
 *
 * ```ts
 * process.exitCode = await serve({ config: 'mailhandler.toml', policies: [myPolicy] })
 * ```
 *
 * Rejects with an Error whose text has a line for each problem of the configuration, or says why the server cannot listen.
 *
 * @throws {MailHandlerError} `ERR_OPTION` if an option is wrong.
 */
export async function serve(options: ServeOptions = {}): Promise<number> {
  const { serveProgram } = await import('./cli/program.ts')
  return serveProgram(options)
}
