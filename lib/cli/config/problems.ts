// What is wrong with a configuration, key by key.

/** Something that is wrong with a configuration. */
export interface Problem {
  /** `tls.cert`; null for the whole file. */
  readonly key: string | null
  /** `mailhandler.toml:7:3`, or the option of the command line; null without a file. */
  readonly where: string | null
  readonly what: string
}

/** A configuration that cannot be used, with all problems. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(showProblem).join('\n'))
    this.problems = problems
  }
}

/** Formats a problem as one line: the place, the key, what is wrong. */
export function showProblem({ where, key, what }: Problem): string {
  return [where, key, what].filter(part => part !== null).join(': ')
}
