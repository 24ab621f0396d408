// Nothing is smuggled through a relay: whatever a client sends, an upstream that believes every line end there is sees
// one message or none, and no command that the relay did not say.

import t from 'tap'
import { MODES, smuggle } from './fixtures/smuggle.ts'

for (const how of ['DATA', 'BDAT'] as const) {
  for (const mode of MODES) {
    t.test(`the client's DATA, the upstream's ${how}, ${mode}`, t => smuggle(t, 'DATA', how, mode))
  }
}
