import t from 'tap'
import { readdirSync, readFileSync } from 'node:fs'
import { playEverySplit, playTranscript } from '../lib/testing/index.ts'
import { TakingHandler } from './fixtures/taking-handler.ts'

// Compiled tests run from dist/test/, the transcripts stay where they are read.
const folder = new URL('../../test/fixtures/transcripts/', import.meta.url)

for (const file of readdirSync(folder)
  .filter(name => name.endsWith('.txt'))
  .toSorted()) {
  t.test(file, async t => {
    const transcript = readFileSync(new URL(file, folder), 'utf8')
    const handlers: TakingHandler[] = []
    const make = (delay?: number) => () => {
      const handler = new TakingHandler(delay === undefined ? {} : { delay })
      handlers.push(handler)
      return handler
    }
    const inTurn = await playEverySplit(transcript, make())
    const atOnce = await playEverySplit(transcript, make(), { pipelined: true })
    t.ok(atOnce.output.equals(inTurn.output), 'without waiting for replies')
    t.ok((await playTranscript(transcript, make(0))).equals(inTurn.output), 'by a handler that answers later')
    const late = await playTranscript(transcript, make(0), { pipelined: true, chunking: 'bytes' })
    t.ok(late.equals(inTurn.output), 'octet by octet, without waiting, answered later')
    const [first, ...others] = handlers
    for (const other of others) {
      t.strictSame(
        [other.messages, other.commands, other.ends, other.errors],
        [first!.messages, first!.commands, ['disconnect', 'result'], []],
      )
    }
  })
}
