// HAProxy in TCP mode in front of UPSTREAM, on PORT. This process only starts it: its CPU is that of its child.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unpacked } from '../servers.js'

const { PORT, UPSTREAM } = process.env
const folder = mkdtempSync(join(tmpdir(), 'haproxy-'))
const file = join(folder, 'haproxy.cfg')
writeFileSync(
  file,
  `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen mail
  bind 127.0.0.1:${PORT}
  server upstream 127.0.0.1:${UPSTREAM}
`,
)
const child = spawn(unpacked('haproxy'), ['-f', file, '-db'], { stdio: 'inherit' })
process.once('SIGTERM', () => child.kill('SIGKILL'))
child.once('exit', () => {
  rmSync(folder, { recursive: true, force: true })
  process.exit()
})
