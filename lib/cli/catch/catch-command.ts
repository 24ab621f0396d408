// `mailhandler catch`: takes mail for tests, and shows it on a page.

import { once } from 'node:events'
import { loadParser } from '../../testing/catch/parse-mail.ts'
import type { CommandLine } from '../command-line.ts'
import { readCatchOptions } from './catch-options.ts'
import { startCatcher } from './catcher.ts'
import { MailParser } from './mail-parser.ts'

/** Runs until SIGINT or SIGTERM; resolves with the exit code. Rejects with what is wrong with the options. */
export async function catchCommand(
  commandLine: CommandLine,
  write: (text: string) => Promise<unknown>,
): Promise<number> {
  const settings = readCatchOptions(commandLine)
  await loadParser('mailhandler catch') // says what is missing
  const parser = new MailParser()
  const stopped = Promise.race(['SIGINT', 'SIGTERM'].map(signal => once(process, signal)))
  const { smtp, page, close } = await startCatcher(settings, raw => parser.parse(raw))
  const where = settings.folder === null ? 'in memory' : `in ${settings.folder}`
  await write(`Taking mail on ${smtp}, none leaves; it is kept ${where}.\nThe page is ${page}\n`)
  await stopped
  await close()
  await parser.close()
  return 0
}
