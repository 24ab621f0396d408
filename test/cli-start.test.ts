// `mailhandler serve` while it starts.

import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, openSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { bareNode } from './fixtures/bare-node.ts'
import { Client, follow, MAIN } from './fixtures/command.ts'

/** Opens a FIFO once a process has opened it to read. */
async function whenRead(path: string): Promise<number> {
  for (;;) {
    const fd = openToWrite(path)
    if (fd !== null) return fd
    await settle()
  }
}

function openToWrite(path: string): number | null {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error
    return null
  }
}

function settle(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 5))
}

for (const workers of [1, 2]) {
  t.test(`SIGHUP while it reads its configuration: it starts, and reads it again; ${workers} workers`, async t => {
    const folder = t.testdir()
    const file = join(folder, 'm.toml')
    execFileSync('mkfifo', [file])
    const config = (domain: string): string => {
      return `workers = ${workers}\nrecipients.domains = ["${domain}"]\n[[listen]]\naddress = "127.0.0.1:0"\n`
    }
    // Without what tap adds to its children: that has a listener for SIGHUP.
    const [program, args] = bareNode([MAIN, 'serve', '-c', 'm.toml'])
    const server = follow(spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] }))
    t.teardown(() => server.child.kill('SIGKILL'))
    const fd = await whenRead(file)
    server.child.kill('SIGHUP')
    await settle()
    // The process has the FIFO open; what it opens next is a file.
    writeFileSync(`${file}.new`, config('two.example'))
    renameSync(`${file}.new`, file)
    writeSync(fd, config('one.example'))
    closeSync(fd)
    await server.says('"reloaded"')
    const port = await server.port
    t.match(await Client.deliver(port, 'x', 'joe@two.example'), /^250 /)
    server.child.kill('SIGTERM')
    t.equal((await server.ended).code, 0)
  })
}
