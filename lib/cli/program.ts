// serve() of a program: the command without its command line.

import { closeLogs } from '../log/line-log.ts'
import { checkKeys, checkList, show, wrong } from '../words/option-checks.ts'
import type { Delivery, Policy } from '../smtp/hooks.ts'
import { catchReloadSignal } from './reload-signal.ts'
import { serve } from './serve.ts'
import { workerNumber } from './worker-environment.ts'

/** Options of `serve()`. */
export interface ServeOptions {
  /** The configuration file. @defaultValue none: the defaults apply */
  readonly config?: string
  /** Keys of the configuration, as the file has them, which override it: `{ listen: [{ address: '*:25' }] }`. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Policies, asked after `recipients.domains` and those of `[[policy]]`, before greylisting. */
  readonly policies?: readonly Policy[]
  /** Takes the messages, in the place of the configuration's Maildir. */
  readonly delivery?: Delivery
}

/** Serves until told to stop; resolves with the exit code. In a worker it ends the process instead. */
export async function serveProgram(options: ServeOptions): Promise<number> {
  checkKeys('', options, ['config', 'settings', 'policies', 'delivery'])
  const { config = null, settings = {}, policies = [], delivery } = options
  if (config !== null && typeof config !== 'string') throw wrong(`config is the path of a file, not ${show(config)}`)
  checkKeys('settings', settings, Object.keys(Object(settings) as object))
  checkList('policies', policies)
  catchReloadSignal()
  const overrides = Object.entries(settings).map(([key, value]) => ({ option: 'settings', path: [key], value }))
  const own = delivery === undefined ? { policies } : { policies, delivery }
  const code = await serve({
    command: 'serve',
    config,
    overrides,
    own,
    connect: false,
    logs: [],
    json: false,
    values: new Map(),
    words: [],
  })
  await closeLogs()
  if (workerNumber() !== null) process.exit(code)
  return code
}
