// Haraka in one process, with the two plugins that it takes to accept mail for a domain and to discard it. Its own plugin
// queue/discard is left for one that counts; its log keeps errors only; its size limit is raised above 25 MiB. options.js has
// TLS and AUTH, for which it takes a plugin each.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certificate, hasUsers, PASSWORD, tls, USER } from './options.js'
import { count, listening } from './received.js'

const port = process.env.PORT
const require = createRequire(import.meta.url)
const defaults = readFileSync(require.resolve('Haraka/config/connection.ini'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'haraka-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGTERM', () => process.exit())

const files = {
  'config/me': 'bench.example\n',
  'config/smtp.ini': `listen=127.0.0.1:${port}\nnodes=0\n${tls === 'implicit' ? `smtps_port=${port}\n` : ''}`,
  'config/log.ini': '[main]\nlevel=error\nformat=default\n',
  'config/connection.ini': defaults.replace('bytes=26214400', 'bytes=52428800'),
  'config/plugins': [
    ...(tls === null ? [] : ['tls']),
    ...(hasUsers ? ['auth/flat_file'] : []),
    'rcpt_to.in_host_list',
    'queue_discard',
    '',
  ].join('\n'),
  'config/auth_flat_file.ini': `[core]\nmethods=PLAIN\n[users]\n${USER}=${PASSWORD}\n`,
  ...(tls !== null && {
    'config/tls_key.pem': certificate().key,
    'config/tls_cert.pem': certificate().cert,
    // Else it computes some while it serves, for as long as a minute.
    'config/dhparams.pem': execFileSync('openssl', ['dhparam', '-dsaparam', '2048'], { stdio: 'pipe' }),
  }),
  'config/host_list': 'example.org\n',
  'plugins/queue_discard.js': `exports.hook_queue = function (next, connection) {
    server.bench.count(connection.transaction.data_bytes)
    next(OK)
  }
  exports.hook_queue_outbound = exports.hook_queue // of users
  exports.hook_init_master = function (next) { server.bench.listening(); next() }
  `,
}
mkdirSync(join(folder, 'config'))
mkdirSync(join(folder, 'plugins'))
for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)

process.env.HARAKA = folder
require('Haraka/server.js').bench = { count, listening: () => listening(port) }
require('Haraka/haraka.js')
