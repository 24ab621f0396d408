import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { ConfigError } from '../lib/cli/config/problems.ts'
import { makeSettings } from '../lib/cli/settings.ts'

/** The intervals that are set from now on and not cleared. */
function openIntervals(t: Test): ReadonlySet<unknown> {
  const { setInterval: set, clearInterval: clear } = globalThis
  const open = new Set<unknown>()
  Object.assign(globalThis, {
    setInterval(...args: Parameters<typeof set>) {
      const timer = set(...args)
      open.add(timer)
      return timer
    },
    clearInterval(timer: NodeJS.Timeout) {
      open.delete(timer)
      clear(timer)
    },
  })
  t.teardown(() => void Object.assign(globalThis, { setInterval: set, clearInterval: clear }))
  return open
}

t.test('a configuration with a problem watches none of its files', async t => {
  const folder = t.testdir({ blocked: '192.0.2.0/24\n', people: 'anna@example.org\n' })
  const file = join(folder, 'm.toml')
  const watching = '[lists]\ndeny_clients_file = "blocked"\n'
  const mailboxes = `[delivery]\nmaildir = "${folder}/{local}"\nrecipients_file = "people"\n`
  const open = openIntervals(t)
  const settings = makeSettings(loadConfig(file, watching + mailboxes))
  t.equal(open.size, 2)
  settings.close()
  t.equal(open.size, 0)
  const wrong = `${watching}${mailboxes}[auth]\ninsecure = true\nusers = "absent"\n`
  writeFileSync(file, wrong)
  t.throws(() => makeSettings(loadConfig(file, wrong)), ConfigError)
  t.equal(open.size, 0)
})
