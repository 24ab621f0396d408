// Counts the functions of lib/ that run between a client's octets and the program, by V8's precise coverage:
// from the write of one warm RCPT line to the policy's onRcptTo, from there to the reply, and from the write of one
// warm chunk of mail data to the 'data' event of the message. "deep" counts the frames of lib/ on the stack there.
// Run `npm run build` before.
//
//   node bench/hops.js [--json]

import { readFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { SourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const LIB = new URL('../dist/lib/', import.meta.url).href
const WARM = 50
Error.stackTraceLimit = 200
const CHUNK = Buffer.from(`${'x'.repeat(76)}\r\n`.repeat(840)) // 64 KiB

const { SmtpHandler } = await import(new URL('index.js', LIB).href)

const profiler = new Session()
profiler.connect()
post('Profiler.enable')
post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })

/** A session on this thread answers before `post` returns. */
function post(method, parameters) {
  let answer
  profiler.post(method, parameters, (error, result) => {
    if (error) throw new Error(`${method}: ${error.message}`)
    answer = result
  })
  return answer
}

/** The functions of lib/ that were called since the last call, as `{ file, name, calls }`, and the depth of the stack. */
function calledFunctions() {
  const called = []
  const depth = new Error('here').stack.split('\n').filter(frame => frame.includes(LIB)).length
  for (const { url, functions } of post('Profiler.takePreciseCoverage').result) {
    if (!url.startsWith(LIB)) continue
    const file = `lib/${url.slice(LIB.length).replace(/\.js$/, '.ts')}`
    for (const { functionName, ranges } of functions) {
      const [{ count, startOffset }] = ranges
      if (count > 0)
        called.push({ file, name: `${functionName || '(anonymous)'}:${lineOf(url, startOffset)}`, calls: count })
    }
  }
  return { called, depth }
}

/** The line in the TypeScript source. */
function lineOf(url, offset) {
  const script = fileURLToPath(url)
  const before = readFileSync(script, 'utf8').slice(0, offset).split('\n')
  const map = new SourceMap(JSON.parse(readFileSync(`${script}.map`, 'utf8')))
  return (map.findEntry(before.length - 1, before.at(-1).length).originalLine ?? before.length - 1) + 1
}

/** A session in memory: `say` writes octets and resolves once all that follows from them has been done. */
function converse(options) {
  const handler = new SmtpHandler({ name: 'mx.example.org', client: { address: '192.0.2.1', port: 1 }, ...options })
  let replies = ''
  handler.on('data', chunk => (replies += chunk))
  const idle = () => new Promise(resolve => setTimeout(resolve, 5))
  return {
    handler,
    async say(...lines) {
      for (const line of lines) {
        handler.write(line)
        await idle()
      }
    },
    /** Ends the session, and returns what was counted. Throws where a command was refused or nothing was counted. */
    finish(counted) {
      handler.destroy()
      if (counted === null || /^[45]/m.test(replies)) throw new Error(`it was not counted:\n${replies}`)
      return counted
    },
  }
}

/** From the write of a RCPT line to the policy, and from there to the reply. */
async function hopsOfRcpt() {
  let toPolicy = null
  let toReply = null
  let measured = false
  const policy = {
    onRcptTo() {
      if (measured) toPolicy = calledFunctions()
    },
  }
  const session = converse({ policies: [policy], onMessage() {} })
  session.handler.on('data', () => {
    if (measured) toReply ??= calledFunctions()
  })
  await session.say('EHLO client.example\r\n', 'MAIL FROM:<bob@example.com>\r\n')
  for (let number = 0; number < WARM; number += 1) await session.say(`RCPT TO:<user${number}@example.org>\r\n`)
  measured = true
  calledFunctions()
  await session.say('RCPT TO:<anna@example.org>\r\n')
  return { toPolicy: session.finish(toPolicy), toReply: session.finish(toReply) }
}

/** From the write of a chunk of mail data to the 'data' event of the message. */
async function hopsOfChunk() {
  let toReader = null
  let measured = false
  const session = converse({
    onMessage(message) {
      return new Promise(resolve => {
        message.on('data', () => {
          if (measured) toReader ??= calledFunctions()
        })
        message.on('close', resolve)
      })
    },
  })
  await session.say('EHLO client.example\r\n', 'MAIL FROM:<bob@example.com>\r\n', 'RCPT TO:<anna@example.org>\r\n')
  await session.say('DATA\r\n', 'Subject: hops\r\n\r\n')
  for (let number = 0; number < WARM; number += 1) await session.say(CHUNK)
  measured = true
  calledFunctions()
  await session.say(CHUNK)
  return session.finish(toReader)
}

function print(title, { called, depth }) {
  const files = new Map()
  for (const each of called) files.set(each.file, [...(files.get(each.file) ?? []), each])
  const calls = called.reduce((sum, each) => sum + each.calls, 0)
  console.log(`${title}: ${called.length} functions in ${files.size} files, ${calls} calls, ${depth} deep`)
  for (const [file, functions] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const names = functions.map(({ name, calls }) => (calls > 1 ? `${name} ×${calls}` : name))
    console.log(`  ${String(functions.length).padStart(3)}  ${file.padEnd(44)} ${names.join(', ')}`)
  }
}

const { values } = parseArgs({ options: { json: { type: 'boolean' } } })
const { toPolicy, toReply } = await hopsOfRcpt()
const toReader = await hopsOfChunk()
if (values.json) console.log(JSON.stringify({ toPolicy, toReply, toReader }, null, 2))
else {
  print('RCPT, from the write to the policy', toPolicy)
  print('RCPT, from the policy to the reply', toReply)
  print('64 KiB of mail data, from the write to the reader', toReader)
}
