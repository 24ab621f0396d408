// Runs clients/sessions.js, and the certificate that its servers show.

import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { here } from '../processes.js'

const run = promisify(execFile)

/** Sends mails as clients/sessions.js says; rejects where one is not accepted. */
export async function sendSessions(load) {
  await run(process.execPath, [here('clients/sessions.js'), JSON.stringify(load)], { timeout: 120_000 })
}

/** A folder with a key and a certificate for localhost, made by openssl when it is first asked for. */
export function certificateFolder() {
  const folder = here('../.bench/certificate')
  if (existsSync(join(folder, 'cert.pem'))) return folder
  mkdirSync(folder, { recursive: true })
  const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '3650']
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
  execFileSync('openssl', ['req', '-x509', ...what, '-subj', '/CN=localhost', ...files], { stdio: 'pipe' })
  return folder
}
