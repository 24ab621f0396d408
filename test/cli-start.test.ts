// `mailhandler serve` while it starts.

import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { bareNode } from './fixtures/bare-node.ts'
import { Client, follow, MAIN } from './fixtures/command.ts'

/** Writes to a FIFO once a process opens it to read; calls `before` while that process waits. */
async function feed(path: string, text: string, before: () => void = () => {}): Promise<void> {
  let fd = openToWrite(path)
  for (; fd !== null; fd = openToWrite(path)) {
    closeSync(fd) // The reader of the text before has not finished.
    await settle()
  }
  for (; fd === null; fd = openToWrite(path)) await settle()
  before()
  await settle()
  writeSync(fd, text)
  closeSync(fd)
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
    await feed(file, config('one.example'), () => server.child.kill('SIGHUP'))
    await feed(file, config('two.example'))
    await server.says('"reloaded"')
    const port = await server.port
    t.match(await Client.deliver(port, 'x', 'joe@two.example'), /^250 /)
    server.child.kill('SIGTERM')
    t.equal((await server.ended).code, 0)
  })
}
