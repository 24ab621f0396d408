// A list with a limit of entries and of octets.

import t from 'tap'
import { Kept } from '../lib/testing/catch/kept.ts'

t.test('the oldest go first', t => {
  const dropped: string[] = []
  const kept = new Kept<string>(3, 10, value => dropped.push(value))
  for (const value of ['a', 'b', 'c', 'd']) kept.add(value, 2)
  t.strictSame(kept.all, ['b', 'c', 'd'])
  t.strictSame([kept.size, kept.octets, kept.dropped], [3, 6, 1])
  kept.add('e', 7)
  t.strictSame(kept.all, ['d', 'e'])
  kept.add('f', 11)
  t.strictSame(kept.all, ['f'], 'a large one stays alone')
  t.strictSame(
    kept.remove(value => value === 'x'),
    [],
  )
  t.strictSame(
    kept.remove(value => value === 'f'),
    ['f'],
  )
  t.strictSame([kept.size, kept.octets, kept.dropped], [0, 0, 5])
  t.strictSame(dropped, ['a', 'b', 'c', 'd', 'e'])
  const silent = new Kept<string>(1, 10)
  silent.add('a', 1)
  silent.add('b', 1)
  t.strictSame(silent.all, ['b'])
  t.end()
})

t.test('an entry that grows', t => {
  const dropped: string[] = []
  const kept: Kept<string> = new Kept<string>(10, 10, value => {
    dropped.push(value)
    if (value === 'b') kept.grow('d', 9) // what it held counts for another one
  })
  for (const value of ['a', 'b', 'c', 'd']) kept.add(value, 1)
  kept.grow('gone', 100)
  t.equal(kept.octets, 4)
  kept.grow('d', 7)
  t.strictSame([kept.all, kept.octets, kept.dropped], [['b', 'c', 'd'], 10, 1])
  kept.grow('d', 1)
  t.strictSame([kept.all, kept.octets, kept.dropped], [['d'], 18, 3])
  t.strictSame(dropped, ['a', 'b', 'c'])
  t.end()
})
