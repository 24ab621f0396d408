#!/usr/bin/env node
// The command `mailhandler`: takes over the signals, then loads the rest (run.ts).

import { catchReloadSignal } from './reload-signal.ts'

if (process.argv[2] === 'serve') catchReloadSignal()
await import('./run.ts')
