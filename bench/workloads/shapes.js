// Shapes of mail data, in memory: how the cost depends on what the lines are like.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { here } from '../processes.js'
import { SUBJECTS } from './shapes-subjects.js'

const run = promisify(execFile)

export const SHAPE_SUBJECTS = Object.keys(SUBJECTS)

/** One round of one subject, in a process of its own: microseconds of CPU a MiB, by shape. */
export async function measureShapes(subject, quick) {
  const { stdout } = await run(
    process.execPath,
    [here('workloads/shapes-process.js'), subject, quick ? 50 : 250].map(String),
  )
  return JSON.parse(stdout)
}
