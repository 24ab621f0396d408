// The same as relay-smuggling.test.ts, by BDAT.

import t from 'tap'
import { MODES, smuggle } from './fixtures/smuggle.ts'

for (const how of ['DATA', 'BDAT'] as const) {
  for (const mode of MODES) {
    t.test(`the client's BDAT, the upstream's ${how}, ${mode}`, t => smuggle(t, 'BDAT', how, mode))
  }
}
