// Haraka in one process, with the two plugins that it takes to accept mail for a domain and to discard it. Its own plugin
// queue/discard is left for one that counts; its log keeps errors only; its size limit is raised above 25 MiB.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { count, listening } from './received.js'

const port = process.env.PORT
const require = createRequire(import.meta.url)
const defaults = readFileSync(require.resolve('Haraka/config/connection.ini'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'haraka-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGTERM', () => process.exit())

const files = {
  'config/me': 'bench.example\n',
  'config/smtp.ini': `listen=127.0.0.1:${port}\nnodes=0\n`,
  'config/log.ini': '[main]\nlevel=error\nformat=default\n',
  'config/connection.ini': defaults.replace('bytes=26214400', 'bytes=52428800'),
  'config/plugins': 'rcpt_to.in_host_list\nqueue_discard\n',
  'config/host_list': 'example.org\n',
  'plugins/queue_discard.js': `exports.hook_queue = function (next, connection) {
    server.bench.count(connection.transaction.data_bytes)
    next(OK)
  }
  exports.hook_init_master = function (next) { server.bench.listening(); next() }
  `,
}
mkdirSync(join(folder, 'config'))
mkdirSync(join(folder, 'plugins'))
for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)

process.env.HARAKA = folder
require('Haraka/server.js').bench = { count, listening: () => listening(port) }
require('Haraka/haraka.js')
