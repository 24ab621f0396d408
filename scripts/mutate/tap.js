// Stands in for tap while mutants are tested: what the tests use of it and no more. Loading tap costs a process a second;
// this costs nothing, and ends the process at the first assertion that fails. Its answers are tap's: the tests pass
// with both.

import { deepEqual } from 'node:assert'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inspect, isDeepStrictEqual } from 'node:util'

function fail(name, ...values) {
  console.log(
    `failed: ${name} ${values.map(value => inspect(value, { depth: 4 })).join(' ≠ ')}\n${new Error('here').stack}`,
  )
  process.exit(1)
}

function isLoose(value, wanted) {
  try {
    deepEqual(value, wanted)
    return true
  } catch {
    return false
  }
}

/** tap's match: the value has what the pattern has; texts contain it, expressions fit it. */
function isMatch(value, pattern) {
  if (Object.is(value, pattern)) return true
  if (pattern instanceof RegExp)
    return value instanceof RegExp ? String(value) === String(pattern) : pattern.test(value)
  if (typeof pattern === 'string') return typeof value === 'string' && pattern !== '' && value.includes(pattern)
  if (typeof pattern === 'function') return isOfType(value, pattern)
  if (typeof pattern !== 'object' || pattern === null || typeof value !== 'object' || value === null) return false
  if (pattern instanceof Set) return value instanceof Set && [...pattern].every(each => value.has(each))
  if (pattern instanceof Map)
    return value instanceof Map && [...pattern].every(([key, each]) => isMatch(value.get(key), each))
  if (Buffer.isBuffer(pattern)) return Buffer.isBuffer(value) && pattern.equals(value)
  if (Array.isArray(pattern) && !Array.isArray(value)) return false
  if (pattern instanceof Error && (pattern.message !== value.message || pattern.name !== value.name)) return false
  return Object.keys(pattern).every(key => isMatch(value[key], pattern[key]))
}

function isOfType(value, type) {
  if (type === String || type === Number || type === Boolean) return typeof value === type.name.toLowerCase()
  return value instanceof type
}

/** The arguments after the function: what the error has to match, and the name of the assertion. */
function isWanted(error, wanted) {
  if (wanted === undefined || typeof wanted === 'string') return true
  if (wanted instanceof RegExp) return wanted.test(error?.message ?? String(error))
  return isMatch(error, wanted)
}

class Test {
  #parent
  #queue = Promise.resolve()
  #end
  #teardowns = []
  beforeEachHooks = []
  afterEachHooks = []

  constructor(parent, name) {
    this.#parent = parent
    this.name = name
    this.ended = new Promise(resolve => (this.#end = resolve))
  }

  test(name, ...rest) {
    const body = rest.at(-1)
    const options = rest.length > 1 ? rest[0] : {}
    const run = () => (options.skip || options.todo || typeof body !== 'function' ? undefined : this.#run(name, body))
    this.#queue = this.#queue.then(run)
    return this.#queue
  }

  async #run(name, body) {
    const child = new Test(this, name)
    const parents = []
    for (let each = this; each !== undefined; each = each.#parent) parents.push(each)
    for (const parent of parents.toReversed()) for (const hook of parent.beforeEachHooks) await hook(child)
    try {
      const result = body(child)
      await (typeof result?.then === 'function' ? result : child.ended)
      await child.#queue
      for (const hook of child.#teardowns.toReversed()) await hook()
      for (const parent of parents) for (const hook of parent.afterEachHooks) await hook(child)
    } catch (error) {
      fail(name, error)
    }
  }

  /** Runs what is in the queue, what is added to it meanwhile too. */
  async finish() {
    let queue
    do {
      queue = this.#queue
      await queue
    } while (queue !== this.#queue)
    for (const hook of this.#teardowns.toReversed()) await hook()
  }

  end() {
    this.#end()
  }

  plan() {
    fail('plan() is not supported')
  }

  teardown(hook) {
    this.#teardowns.push(hook)
  }

  before(hook) {
    this.#queue = this.#queue.then(hook)
  }

  beforeEach(hook) {
    this.beforeEachHooks.push(hook)
  }

  afterEach(hook) {
    this.afterEachHooks.push(hook)
  }

  testdir(content = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'mutate-'))
    this.teardown(() => rmSync(folder, { recursive: true, force: true }))
    write(folder, content)
    return folder
  }

  comment() {}
  pass() {}

  fail(name) {
    fail(name ?? 'fail')
  }

  ok(value, name) {
    if (!value) fail(name, value)
  }

  notOk(value, name) {
    if (value) fail(name, value)
  }

  equal(value, wanted, name) {
    if (!Object.is(value, wanted)) fail(name, value, wanted)
  }

  not(value, other, name) {
    if (Object.is(value, other)) fail(name, value, other)
  }

  same(value, wanted, name) {
    if (!isLoose(value, wanted)) fail(name, value, wanted)
  }

  strictSame(value, wanted, name) {
    if (!isDeepStrictEqual(value, wanted)) fail(name, value, wanted)
  }

  match(value, pattern, name) {
    if (!isMatch(value, pattern)) fail(name, value, pattern)
  }

  notMatch(value, pattern, name) {
    if (isMatch(value, pattern)) fail(name, value, pattern)
  }

  type(value, type, name) {
    if (typeof type === 'string' ? typeof value !== type : !isOfType(value, type)) fail(name, value, type)
  }

  throws(body, ...rest) {
    try {
      body()
    } catch (error) {
      if (!isWanted(error, rest[0])) fail(rest[1], error, rest[0])
      return error
    }
    return fail('did not throw', rest)
  }

  doesNotThrow(body, name) {
    try {
      body()
    } catch (error) {
      fail(name, error)
    }
  }

  async rejects(promise, ...rest) {
    try {
      await (typeof promise === 'function' ? promise() : promise)
    } catch (error) {
      if (!isWanted(error, rest[0])) fail(rest[1], error, rest[0])
      return
    }
    fail('did not reject', rest)
  }

  async resolves(promise, name) {
    try {
      await (typeof promise === 'function' ? promise() : promise)
    } catch (error) {
      fail(name, error)
    }
  }
}

function write(folder, content) {
  for (const [name, value] of Object.entries(content)) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    if (typeof value === 'string' || Buffer.isBuffer(value)) writeFileSync(path, value)
    else {
      mkdirSync(path, { recursive: true })
      write(path, value)
    }
  }
}

const root = new Test(undefined, '')

/** Settles when all tests have passed. */
export const finished = new Promise(resolve => {
  setImmediate(async () => {
    await root.finish()
    resolve()
  })
})

// In a process of its own; in host.js there is another run after this one.
if (process.send === undefined) {
  let hasFinished = false
  finished.then(() => (hasFinished = true))
  process.on('exit', code => {
    if (code === 0 && !hasFinished) process.exitCode = 1
    const { user, system } = process.cpuUsage()
    console.log(`cpu ${(user + system) / 1e6}`)
  })
}

export default root
export const t = root
