import type { Transform } from 'node:stream'
import { LineDots } from '../protocol/mail-data/line-dots.ts'
import { through } from './through.ts'

/** Creates a transform that doubles or drops each dot at the beginning of a line. [RFC 5321 §4.5.2] */
export function lineDots(edit: 'double' | 'drop'): Transform {
  const dots = new LineDots(edit)
  return through(function (chunk, _encoding, done) {
    dots.edit(chunk, piece => void this.push(piece))
    done()
  })
}
