// The process of host.js as mutate.js sees it: started when it is wanted, ended when a mutant has no end.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const HOST = join(import.meta.dirname, 'host.js')
const LOOK = 250
/** Linux counts a process's time in hundredths of a second. */
const TICKS = 100
/** Runs until the process is replaced: what runs leave behind adds up. */
const MOST_RUNS = 300

/** Seconds of the processor that a process has taken; by the clock where there is no /proc. */
function secondsOf(pid) {
  const path = `/proc/${pid}/stat`
  if (!existsSync(path)) return performance.now() / 1000
  const fields = readFileSync(path, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

export class HostLink {
  #child = null
  #runs = 0

  async #start() {
    this.#runs = 0
    this.#child = spawn(
      process.execPath,
      ['--experimental-vm-modules', '--no-warnings', '--max-old-space-size=1024', HOST],
      { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
    )
    const child = this.#child
    await new Promise(resolve => child.once('message', resolve))
  }

  /** Runs a test; resolves with whether it passed within `limit` seconds of the processor. */
  async run(job, limit) {
    if (this.#child === null || this.#runs >= MOST_RUNS) {
      this.end()
      await this.#start()
    }
    this.#runs += 1
    const child = this.#child
    const until = secondsOf(child.pid) + limit
    const watch = setInterval(() => secondsOf(child.pid) > until && child.kill('SIGKILL'), LOOK)
    try {
      return await new Promise(resolve => {
        child.once('message', ({ passed }) => resolve(passed))
        child.once('exit', () => {
          this.#child = null
          resolve(false)
        })
        child.send({ ...job, runs: Math.min(job.runs, Number.MAX_SAFE_INTEGER) }) // JSON has no Infinity
      })
    } finally {
      clearInterval(watch)
      child.removeAllListeners()
    }
  }

  end() {
    this.#child?.kill('SIGKILL')
    this.#child = null
  }
}
