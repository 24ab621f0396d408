// The servers, how each is started, and which of them can be had here.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { here } from './processes.js'

/** A program as .ci/install-clients unpacks it, or the one in PATH. */
export const unpacked = name =>
  existsSync(here(`../.ci/clients/bin/${name}`)) ? here(`../.ci/clients/bin/${name}`) : name

const PYTHON = '/usr/bin/python3' // Debian's, which python3-aiosmtpd is for

/** Another build of mailhandler, of `--before`. */
export const BEFORE = 'mailhandler, before'
/** It, if there is one. */
export const OTHER_BUILDS = process.env.BENCH_BEFORE === undefined ? [] : [BEFORE]

export const SERVERS = {
  mailhandler: { args: ['servers/mailhandler.js'] },
  'mailhandler, bare newlines allowed': { args: ['servers/mailhandler.js'], env: { BARE_NEWLINE: 'allow' } },
  ...(process.env.BENCH_BEFORE === undefined
    ? {}
    : { [BEFORE]: { args: ['servers/mailhandler.js'], env: { DIST: process.env.BENCH_BEFORE } } }),
  'smtp-server': { args: ['servers/smtp-server.js'] },
  'smtp-server, no greeting delay': { args: ['servers/smtp-server.js'], env: { GREETING_DELAY: '0' } },
  Haraka: { args: ['servers/haraka.js'], needsPort: true },
  aiosmtpd: { command: PYTHON, args: ['servers/aiosmtpd-server.py'] },
  'smtp-sink (C)': {
    command: unpacked('smtp-sink'),
    args: ['-c', '-m', '4096', ...(process.getuid() === 0 ? ['-u', 'nobody'] : []), 'PORT', '4096'],
    needsPort: true,
    silent: true,
  },
  'floor: net.Server': { args: ['servers/floor-socket.js'] },
  'floor: Duplex': { args: ['servers/floor-duplex.js'] },
  'floor: Duplex, every LF': { args: ['servers/floor-duplex.js'], env: { SEARCH: 'lf' } },
}

/** What a server's version is, or null where it is not installed. */
const VERSIONS = {
  mailhandler: () => packageVersion('..'),
  'smtp-server': () => packageVersion('node_modules/smtp-server'),
  Haraka: () => packageVersion('node_modules/Haraka'),
  aiosmtpd: () => output(PYTHON, ['-c', 'import aiosmtpd; print(aiosmtpd.__version__)']),
  'smtp-sink (C)': () => {
    if (spawnSync(unpacked('smtp-sink')).error) return null
    return `Postfix ${output('apt-cache', ['show', '--no-all-versions', 'postfix'], /^Version: (.*)/m) ?? ''}`.trim()
  },
}

/** Versions by server, of those that are installed. */
export function installed() {
  return Object.fromEntries(
    Object.entries(VERSIONS)
      .map(([name, version]) => [name, version()])
      .filter(([, version]) => version !== null),
  )
}

/** A server of which nothing is known to be missing. */
export function available(name, versions) {
  const [product] = name.split(', ')
  return name.startsWith('floor') || product in versions
}

function packageVersion(folder) {
  const file = here(`${folder}/package.json`)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : null
}

function output(command, args, pattern = /(.*)/) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? (pattern.exec(stdout)?.[1] ?? null) : null
}
