// Which files of the library the cases have run, and how much of each: V8's own counts, by line of the built JavaScript.

import { readFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Starts to count; call it before the library is loaded. Returns what makes the table. */
export async function startCoverage(folder) {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return async () => {
    const { result } = await session.post('Profiler.takePreciseCoverage')
    session.disconnect()
    return table(result, resolve(folder))
  }
}

function table(scripts, folder) {
  const own = scripts.filter(({ url }) => url.startsWith('file:') && fileURLToPath(url).startsWith(`${folder}/`))
  const rows = own.map(({ url, functions }) => {
    const file = fileURLToPath(url)
    return { file: relative(folder, file), ...linesRun(readFileSync(file, 'utf8'), functions), ...called(functions) }
  })
  rows.sort((a, b) => a.run / (a.lines || 1) - b.run / (b.lines || 1) || (a.file < b.file ? -1 : 1))
  const width = Math.max(...rows.map(({ file }) => file.length))
  const total = (some, name) => some.reduce((sum, row) => sum + row[name], 0)
  const line = ({ file, run, lines, calls, functions }) =>
    `${file.padEnd(width)} ${percent(run, lines)} of ${String(lines).padStart(5)} lines, ${percent(calls, functions)} of ${String(functions).padStart(4)} functions`
  const sum = (file, some) => {
    const [run, lines, calls, functions] = ['run', 'lines', 'calls', 'functions'].map(name => total(some, name))
    return { file, run, lines, calls, functions }
  }
  const folders = [...new Set(rows.map(({ file }) => file.split('/')[0]))].toSorted()
  const sums = folders.map(name =>
    sum(
      `${name} *`,
      rows.filter(({ file }) => file.split('/')[0] === name),
    ),
  )
  return [...rows, ...sums, sum('all', rows)].map(line).join('\n')
}

const percent = (part, whole) => `${(whole === 0 ? 100 : (100 * part) / whole).toFixed(1).padStart(5)} %`

/** A line is run unless all of it is in blocks that never were; empty lines and comments are none. */
function linesRun(source, functions) {
  const isRun = new Uint8Array(source.length).fill(1)
  // Outer blocks come before the inner ones.
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count } of ranges) isRun.fill(count > 0 ? 1 : 0, startOffset, endOffset)
  }
  let [at, lines, run] = [0, 0, 0]
  for (const line of source.split('\n')) {
    const start = at + line.length - line.trimStart().length
    if (/^\s*(?!\/\/|\*|\/\*|[{}()[\];,]*\s*$)\S/.test(line)) {
      lines += 1
      if (isRun.subarray(start, at + line.length).includes(1)) run += 1
    }
    at += line.length + 1
  }
  return { lines, run }
}

function called(functions) {
  return { functions: functions.length, calls: functions.filter(({ ranges }) => ranges[0].count > 0).length }
}
