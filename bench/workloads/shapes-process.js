// One subject takes mail data of each shape until it has used some CPU; prints the microseconds a MiB.
//
//   node workloads/shapes-process.js SUBJECT MILLISECONDS

import { SHAPES } from './shapes-data.js'
import { SUBJECTS } from './shapes-subjects.js'

const [subject, milliseconds] = process.argv.slice(2)
const least = Number(milliseconds) * 1000
const taker = SUBJECTS[subject]()
const results = {}

// Every shape twice before any is measured: what one of them teaches the compiler, another may unteach it.
const warm = {}
for (let pass = 0; pass < 2; pass++) {
  for (const [shape, { few }] of Object.entries(SHAPES)) warm[shape] = await take(few, least)
}
for (const [shape, { chunks, few }] of Object.entries(SHAPES)) {
  results[shape] = await take(warm[shape] * 4 < 2 * least ? chunks : few, least)
}
console.log(JSON.stringify(results))

/** Sends the message again and again until `microseconds` of CPU are used. */
async function take(chunks, microseconds) {
  const octets = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  const before = process.cpuUsage()
  let used = 0
  let sent = 0
  while (used < microseconds) {
    await taker.message(chunks)
    sent += octets
    const { user, system } = process.cpuUsage(before)
    used = user + system
  }
  return used / (sent / 2 ** 20)
}
