import t from 'tap'
import { createLogger, type Level, type LoggerOptions } from '../lib/cli/log/json-logger.ts'

function collect(options: Omit<LoggerOptions, 'write'> = {}) {
  const lines: string[] = []
  return { lines, log: createLogger({ ...options, write: line => void lines.push(line) }) }
}

t.test('a line has its level and time, the fields of the log, its own, and the text, in this order', t => {
  const { lines, log } = collect({ base: { pid: 7 } })
  log.info({ session: 's', absent: undefined }, 'begun')
  log.warn('late')
  log.error({ only: 'fields' })
  t.match(lines[0], /^\{"level":"info","time":"\d{4}-\d\d-\d\dT[\d:.]+Z","pid":7,"session":"s","msg":"begun"\}$/)
  t.match(lines[1], /^\{"level":"warn","time":"[^"]+","pid":7,"msg":"late"\}$/)
  t.match(lines[2], /,"pid":7,"only":"fields"\}$/)
  t.end()
})

t.test('each level logs itself and what matters more', t => {
  const methods = ['debug', 'info', 'warn', 'error', 'fatal'] as const
  const levels: [Level, number][] = [
    ['debug', 5],
    ['info', 4],
    ['warn', 3],
    ['error', 2],
    ['fatal', 1],
    ['silent', 0],
  ]
  for (const [level, many] of levels) {
    const { lines, log } = collect({ level })
    for (const method of methods) {
      const before = lines.length
      log[method]('x')
      t.equal(lines.length > before, log.isLevelEnabled(method), `${method} of a log of ${level}`)
    }
    t.equal(lines.length, many, level)
  }
  t.end()
})

t.test('what JSON cannot show throws nothing', t => {
  const { lines, log } = collect()
  const circle: Record<string, unknown> = {}
  circle['circle'] = circle
  log.info(circle, 'round')
  log.info({ big: 1n }, 'big')
  for (const line of lines) t.match(JSON.parse(line), { level: 'info', unloggable: /circular|BigInt/ })
  t.strictSame(
    lines.map(line => (JSON.parse(line) as { msg: string }).msg),
    ['round', 'big'],
  )
  t.end()
})
