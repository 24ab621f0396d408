import fc from 'fast-check'
import t from 'tap'
import { BoundedMap } from '../lib/stores/bounded-map.ts'

const never = (): boolean => false

t.test('past its limit the entry that was put longest ago goes', t => {
  const map = new BoundedMap<number>(3)
  for (const [i, key] of ['a', 'b', 'c', 'a', 'd', 'e'].entries()) map.put(key, i, never)
  t.strictSame(
    [...map],
    [
      ['a', 3],
      ['d', 4],
      ['e', 5],
    ],
  )
  t.end()
})

t.test('expired entries go from the front, two with each put', t => {
  const map = new BoundedMap<number>(100)
  for (let i = 0; i < 10; i++) map.put(String(i), i, never)
  map.put('x', 99, value => value < 5)
  t.strictSame([...map.keys()].slice(0, 2), ['2', '3'])
  map.put('y', 99, value => value < 5)
  map.put('z', 99, value => value < 5)
  map.put('z', 99, value => value < 5)
  t.strictSame([...map.keys()].slice(0, 2), ['5', '6'])
  t.equal(
    map.sweep(value => value < 8),
    3,
  )
  t.equal(map.size, 5)
  t.end()
})

t.test('any puts, deletions and clearing: the same as a list in the order of the last put', t => {
  const step = fc.oneof(
    fc.record({ put: fc.integer({ min: 0, max: 12 }) }),
    fc.record({ remove: fc.integer({ min: 0, max: 12 }) }),
    fc.constant({ clear: true }),
  )
  const property = fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 60 }), (limit, steps) => {
    const map = new BoundedMap<number>(limit)
    let list: string[] = []
    for (const each of steps) {
      if ('put' in each) {
        map.put(String(each.put), each.put, never)
        list = [...list.filter(key => key !== String(each.put)), String(each.put)].slice(-limit)
      } else if ('remove' in each) {
        map.delete(String(each.remove))
        list = list.filter(key => key !== String(each.remove))
      } else {
        map.clear()
        list = []
      }
      if ([...map.keys()].join() !== list.join()) return false
    }
    return true
  })
  fc.assert(property, { numRuns: 2000 })
  t.end()
})

t.test('a put past the limit costs the same in a large map as in a small one', t => {
  const cost = (limit: number): number => {
    const map = new BoundedMap<number>(limit)
    for (let i = 0; i < limit; i++) map.put(`old ${i}`, i, never)
    const start = process.cpuUsage()
    for (let i = 0; i < 100_000; i++) map.put(`new ${i}`, i, never)
    const { user, system } = process.cpuUsage(start)
    return user + system
  }
  // The least of three: the collector works in some of them. With an iterator for each put it is 30 times as much.
  const least = (limit: number): number => Math.min(...[1, 2, 3].map(() => cost(limit)))
  const [small, large] = [least(1000), least(200_000)]
  t.ok(large < 18 * small, `${large} µs, ${small} µs`)
  t.end()
})
