// docs/differences.md: what other servers answer to the same dialogues. Each is asked if it is installed.

import t from 'tap'
import { DIALOGUES, play } from './fixtures/differential.ts'
import { PEERS } from './fixtures/peers.ts'
import { readText } from './fixtures/repository.ts'

t.setTimeout(300_000)

/** Dialogue → the cells of its row, in the order of the peers. */
const rows = new Map<string, readonly string[]>()
for (const line of readText('docs/differences.md').split('\n')) {
  const [, name, ...cells] = line.split(' | ').flatMap((cell, i) => (i === 0 ? ['', cell.slice(2)] : [cell]))
  if (line.startsWith('| ') && cells.length === PEERS.length) {
    rows.set(
      name!,
      cells.map(cell => cell.replace(/ \|$/, '')),
    )
  }
}
rows.delete('dialogue')
rows.delete('---')

t.test('the table has every dialogue', async t => {
  t.strictSame(
    [...rows.keys()],
    DIALOGUES.map(({ name }) => name),
  )
})

for (const [i, peer] of PEERS.entries()) {
  t.test(peer.name, { skip: peer.missing() }, async t => {
    const port = await peer.start(t)
    await Promise.all(
      DIALOGUES.map(async dialogue => {
        const expected = rows.get(dialogue.name)![i]!
        t.equal(await play(port, dialogue, expected), expected, dialogue.name)
      }),
    )
  })
}
