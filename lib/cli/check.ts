// `mailhandler check`: all that is wrong with a configuration, as `serve` would find it.

import type { CommandLine } from './command-line.ts'
import { ConfigError, readConfigText, showProblem } from './config/load.ts'
import { load } from './running.ts'
import { makeSettings } from './settings.ts'

/** A line for each problem; empty where the configuration is good. */
export function checkConfig(commandLine: CommandLine): string[] {
  try {
    makeSettings(load(commandLine, readConfigText(commandLine.config)))
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(showProblem)
    throw error
  }
}
