// Debian's postgrey as it is, over Postfix's policy protocol. Its attribute policy_test_time tells it the time, so it needs
// no other clock.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Beyond the year 2000: a triplet's time of 0 would be no time. */
const START = Date.UTC(2026, 0, 1) / 1000

/** True if there is a postgrey under the root, `/` for an installed one. */
export const hasPostgrey = root => existsSync(join(root, 'usr/sbin/postgrey'))

/** Starts postgrey from under `root`; `clients` is its list of clients that pass, null for none. */
export async function postgrey(root, clients = null) {
  const directory = mkdtempSync(join(tmpdir(), 'simulated-postgrey-'))
  const socketPath = join(directory, 'socket')
  // Its database does not wait for the disk; past its first log file, of 10 MiB, it has stopped answering.
  writeFileSync(join(directory, 'DB_CONFIG'), 'set_lg_max 100000000\nset_flags DB_TXN_NOSYNC\n')
  const { username } = userInfo()
  const libraries = ['usr/share/perl5', 'usr/lib/x86_64-linux-gnu/perl5/5.36', 'usr/lib/x86_64-linux-gnu/perl-base']
  const child = spawn(
    '/usr/bin/perl',
    [
      '-T',
      ...(root === '/' ? [] : libraries.slice(0, 2).map(path => `-I${join(root, path)}`)),
      join(root, 'usr/sbin/postgrey'),
      ...[`--unix=${socketPath}`, `--dbdir=${directory}`, `--user=${username}`, `--group=${username}`, '--quiet'],
      `--whitelist-clients=${clients ?? '/dev/null'}`,
      '--whitelist-recipients=/dev/null',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.on('data', octets => (said = (said + octets).slice(-2000)))
  for (let i = 0; !existsSync(socketPath); i++) {
    if (i === 100 || child.exitCode !== null) throw new Error(`postgrey did not start: ${said}`)
    await sleep(50)
  }
  const client = await policyClient(socketPath)
  let instance = 0
  return {
    name: clients === null ? "Debian's postgrey, no list" : "Debian's postgrey, its list",
    async attempt({ at, host, sender, to }) {
      const action = await client.ask({
        request: 'smtpd_access_policy',
        protocol_state: 'RCPT',
        client_address: host.address,
        client_name: host.confirmed ?? 'unknown',
        helo_name: host.helo,
        sender,
        recipient: to,
        instance: String((instance += 1)),
        policy_test_time: String(START + Math.floor(at)),
      })
      if (/^(?:DUNNO|PREPEND)/.test(action)) return true
      if (action.startsWith('DEFER_IF_PERMIT')) return false
      throw new Error(`postgrey says ${action}`)
    },
    async close() {
      client.end()
      child.kill()
      if (child.exitCode === null) await new Promise(resolve => void child.once('exit', resolve))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** One request at a time: `name=value` lines, an empty line; the answer is `action=…` and an empty line. */
async function policyClient(path) {
  const socket = connect(path)
  let waiting = null
  let received = ''
  const fail = error => waiting?.reject(error ?? new Error('postgrey has gone'))
  socket.setEncoding('utf8')
  socket.on('error', fail)
  socket.on('close', () => fail())
  socket.on('data', octets => {
    received += octets
    if (!received.endsWith('\n\n')) return
    const action = /^action=(.*)$/m.exec(received)?.[1] ?? received
    received = ''
    waiting?.resolve(action)
  })
  return {
    ask(attributes) {
      const lines = Object.entries(attributes).map(([name, value]) => `${name}=${value}\n`)
      if (socket.destroyed) throw new Error('postgrey has gone')
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        socket.write(`${lines.join('')}\n`)
      })
    },
    end: () => socket.destroy(),
  }
}
