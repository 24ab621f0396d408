// The report as text.

import { duration } from '../duration.ts'
import type { LogReport, Observed } from './log-report.ts'
import type { Outcome, SignCount } from './outcome.ts'

/** What the report is made of. */
export interface Report {
  /** What the store knows at this moment. */
  readonly store: Outcome
  /** What the log says; null without one. */
  readonly log: LogReport | null
}

/** What the text needs of the configuration. */
export interface ReportSettings {
  readonly observes: boolean
  /** Milliseconds that a client has to come again. */
  readonly window: number
}

type Row = readonly [name: string, value: number | string]

/** The report for people. Whatever was only observed is never called stopped. */
export function reportText({ store, log }: Report, { observes, window }: ReportSettings): string {
  const span = duration(window)
  const rows = observes ? observedStore(store) : enforcedStore(store, span)
  const ofStore = [`The store, which forgets within ${span} what does not come again:`, ...table(rows)]
  const ofLog = log === null ? [] : ['', ...logText(log, span)]
  const hint = log === null ? ['', 'With --log the report counts what was stopped, too.'] : []
  return [...ofStore, ...signs(store, observes), ...ofLog, ...hint, ''].join('\n')
}

function enforcedStore({ held, delayed, open, delays }: Outcome, span: string): Row[] {
  return [
    ['held', held],
    ['  came again, and passed', share(delayed, held)],
    [`  have not come again, and may within ${span}`, share(open, held)],
    ...delayRow(delays),
  ]
}

function observedStore({ held, delayed }: Outcome): Row[] {
  return [
    ['would have waited (mode "observe" holds nothing)', held],
    ['  seen again later, so a retry would have passed', share(delayed, held)],
  ]
}

function logText(log: LogReport, span: string): string[] {
  const { from, to, enforced, observed, passedAtOnce, failed, accepted, unnamed, skipped } = log
  if (from === null) return ['The log has no line of this program.']
  const rest: Row[] = [
    ['passed at once: known, or past greylisting', passedAtOnce],
    ...(failed === 0 ? [] : [['decided without the store, which failed', failed] as const]),
    ['messages accepted in all', accepted],
    ...(unnamed === 0 ? [] : [['recipients that the log does not name', unnamed] as const]),
    ...(skipped === 0 ? [] : [['lines that are no JSON of the log', skipped] as const]),
  ]
  const held = enforced === null ? [] : [...table(enforcedLog(enforced, span)), ...signs(enforced, false)]
  const seen = observed === null ? [] : observedLog(observed)
  return [`The log, from ${from} to ${to}:`, ...held, ...seen, ...table(rest)]
}

function enforcedLog({ held, delayed, stopped, open, delays }: Outcome, span: string): Row[] {
  return [
    ['held', held],
    [`  stopped: did not come again within ${span}`, share(stopped, held)],
    ['  came again, and passed', share(delayed, held)],
    ['  may come again yet', share(open, held)],
    ...delayRow(delays),
  ]
}

function observedLog({ wouldHaveWaited, cameAgain, signs: found }: Observed): string[] {
  const rows: Row[] = [
    ['would have waited (mode "observe" holds nothing)', wouldHaveWaited],
    ['  seen again later, so a retry would have passed', cameAgain],
  ]
  return [...table(rows), ...table([['', 'would have waited'], ...Object.entries(found)])]
}

function delayRow(delays: Outcome['delays']): Row[] {
  if (delays === null) return []
  const { median, most, longest } = delays
  const text = `${duration(median)}, ${duration(most)}, ${duration(longest)}`
  return [['  delayed: median, nine of ten at most, longest', text]]
}

function signs({ signs: found }: Outcome, observes: boolean): string[] {
  const head = observes ? ['would have waited', 'seen again'] : ['held', 'stopped', 'passed']
  const cells = observes
    ? ({ held, delayed }: SignCount): readonly number[] => [held, delayed]
    : ({ held, stopped, delayed }: SignCount): readonly number[] => [held, stopped, delayed]
  const rows = Object.entries(found)
  if (rows.length === 0) return []
  return [line('', head), ...rows.map(([sign, count]) => line(sign, cells(count)))]
}

function line(name: string, cells: readonly (string | number)[]): string {
  return `  ${name.padEnd(24)}${cells.map(cell => String(cell).padStart(19)).join('')}`
}

function table(rows: readonly Row[]): string[] {
  return rows.map(([name, value]) => `  ${name.padEnd(52)} ${value}`)
}

function share(part: number, whole: number): string {
  return whole === 0 ? String(part) : `${part} (${Math.round((part / whole) * 100)} %)`
}
