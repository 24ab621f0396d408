// relay() in front of aiosmtpd, which has neither CHUNKING nor PIPELINING nor XCLIENT.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { notHere } from './fixtures/clients.ts'
import { scratchFolder, startDaemon } from './fixtures/daemon.ts'
import { freePort, listening } from './fixtures/free-port.ts'
import { passesMail, startGate } from './fixtures/gate.ts'
import { DEBIAN_PYTHON } from './fixtures/mail-libraries.ts'
import { ROOT } from './fixtures/repository.ts'

const missing = spawnSync(DEBIAN_PYTHON, ['-c', 'import aiosmtpd']).status === 0 ? null : 'python3-aiosmtpd'

t.test('aiosmtpd', { skip: notHere(missing) }, async t => {
  const folder = scratchFolder(t, 'aiosmtpd')
  const port = await freePort()
  const program = join(ROOT, 'test/fixtures/upstreams/keep.py')
  const daemon = startDaemon(t, DEBIAN_PYTHON, [program, String(port), folder])
  await listening(port)
  await passesMail(t, {
    port: await startGate(t, { host: '127.0.0.1', port }),
    delivered: () =>
      readdirSync(folder)
        .filter(name => name.endsWith('.json'))
        .map(name => ({
          recipients: JSON.parse(readFileSync(join(folder, name), 'utf8')) as string[],
          mail: readFileSync(join(folder, name.replace('.json', '.eml'))),
        })),
    adds: /^$/,
    unknown: /^550 5\.1\.1 There is no nobody here$/,
    taken: /^250 2\.0\.0 Kept as \d+$/,
    smtputf8: true,
    log: () => daemon.output,
  })
})
