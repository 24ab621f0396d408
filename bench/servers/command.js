// `mailhandler serve` with what it does by default: a log line for each event, metrics, limits, the policies of rates, lists
// and recipients. With UPSTREAM as a gateway in front of that port.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { accepts, freePort, here, until } from '../processes.js'

const MAIN = here('../dist/lib/cli/main.js')

/** Starts it, into a Maildir if `upstream` is null; `tables` are added to its configuration. Resolves once it listens. */
export async function startCommand(upstream, tables = '') {
  mkdirSync(here('../.bench'), { recursive: true })
  const folder = mkdtempSync(here('../.bench/command-'))
  const [port, metrics] = [await freePort(), await freePort()]
  const file = join(folder, 'mailhandler.toml')
  const to = upstream === null ? '' : `[upstream]\naddress = "127.0.0.1:${upstream}"\nclient_info = "none"\n${POOL}`
  writeFileSync(file, `${configuration(port, metrics)}${to}${tables}`)
  const began = performance.now()
  const child = spawn(process.execPath, [MAIN, 'serve', '--config', file], { stdio: 'ignore' })
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
    }
    rmSync(folder, { recursive: true })
  }
  try {
    await until(() => accepts(port), 'the command does not listen')
  } catch (error) {
    await end()
    throw error
  }
  return { child, pid: child.pid, port, began, end }
}

/** All clients come from one address here. */
const POOL = `[upstream.pool]\nconnections = 100\nkept = 100\nper_network = 1\n`

const configuration = (port, metrics) => `
name = "mx.example.org"
maildir = "Maildir"
[[listen]]
address = "127.0.0.1:${port}"
[recipients]
domains = ["example.org"]
[per_client]
connections = 1000
per_minute = 1000000
[lists]
deny_clients = ["192.0.2.0/24"]
[rates]
messages = "1000000/1m"
[log]
file = "log"
[metrics]
listen = "127.0.0.1:${metrics}"
`
