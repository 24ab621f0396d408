// through2's streams as Node's type: they do the same, but come from readable-stream, and its types stay inside.

import type { Transform, TransformCallback, TransformOptions } from 'node:stream'
import through2 from 'through2'

const HIGH_WATER_MARK = 64 * 1024

type Step = (this: Transform, chunk: Buffer, encoding: BufferEncoding, done: TransformCallback) => void
type Flush = (this: Transform, done: TransformCallback) => void

/**
 * A through2 transform of octets. `step` gets each chunk, `flush` the end; both may `this.push()` any number of slices.
 * It must not be tested with `instanceof`.
 */
export function through(step: Step, flush?: Flush, options?: Pick<TransformOptions, 'destroy'>): Transform {
  const stream: unknown = through2({ highWaterMark: HIGH_WATER_MARK, ...(options as object) }, step, flush)
  return stream as Transform
}
