// Load by Postfix's smtp-source, which sends as fast as the server lets it and fails where a message is not accepted.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { unpacked } from '../servers.js'

const run = promisify(execFile)

/**
 * Sends mails over `sessions` connections at a time: a new one for each mail, or, with `keep`, the same again and again;
 * `octets` of filling in lines of 78, or the `file`.
 */
export async function smtpSource(port, { sessions, messages, octets, file, keep = false }) {
  const content = file === undefined ? ['-l', octets] : ['-F', file]
  const load = [...(keep ? ['-d'] : []), '-s', sessions, '-m', messages, ...content]
  const args = [...load, '-f', 'a@example.org', '-t', 'b@example.org', `127.0.0.1:${port}`]
  await run(unpacked('smtp-source'), args.map(String), { timeout: 120_000, maxBuffer: 2 ** 26 })
}
