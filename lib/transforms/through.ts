// through2's streams, typed as Node's Transform: they behave alike, and readable-stream's types stay out of the .d.ts.

import type { Transform, TransformCallback, TransformOptions } from 'node:stream'
import through2 from 'through2'

const HIGH_WATER_MARK = 64 * 1024

type Step = (this: Transform, chunk: Buffer, encoding: BufferEncoding, done: TransformCallback) => void
type Flush = (this: Transform, done: TransformCallback) => void

/**
 * Creates a through2 transform of octets. `step` is called with each chunk, `flush` at the end; both may call
 * `this.push()` any number of times. The stream is not `instanceof` Node's Transform.
 */
export function through(step: Step, flush?: Flush, options?: Pick<TransformOptions, 'destroy'>): Transform {
  const stream: unknown = through2({ highWaterMark: HIGH_WATER_MARK, ...(options as object) }, step, flush)
  return stream as Transform
}
