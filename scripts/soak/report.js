// What a run prints: the counts of faults, of attempts and of copies, and what the gateway holds.

import { summary } from './accountant.js'

/** The lines; the last one is the summary. */
export function report({ books, faults, drafts, services, result }) {
  const { attempts, messages } = books
  const isWorker = ({ process }) => typeof process === 'number'
  const killed = books.kills.filter(kill => !isWorker(kill)).length
  const verdicts = attempts.flatMap(attempt => attempt.verdicts.map(verdict => ({ ...attempt, ...verdict })))
  const refused = text => verdicts.filter(verdict => verdict.text?.startsWith(text) === true).length
  const acknowledged = attempts.filter(attempt => attempt.verdicts.some(({ outcome }) => outcome === 'acknowledged'))
  const octets = messages.reduce((sum, { size }) => sum + size, 0)
  const reloads = services.map(({ log }) => [...log.matchAll(/"msg":"reloaded"/g)].length)
  const { reasons } = result
  const findings = ['lost', 'partial', 'unexplained', 'unfinished', 'refused', 'dropped']
  return [
    `killed: workers ${books.deaths.length} of the gateway and ${books.kills.filter(isWorker).length} of the boxes, upstreams ${killed}, the store ${faults.store}; frozen: workers ${faults.freezeWorker}, upstreams ${faults.freeze}, the store ${faults.freezeStore}; disk full: ${faults.disk}`,
    `SIGHUP: ${faults.reload} with a good file, ${faults.badReload} with a bad one; "reloaded" in the logs ${reloads.join(' and ')} times`,
    `messages: ${countOf(messages, 'kind')}; ${Math.round(octets / 2 ** 20)} MiB; attempts by ${countOf(attempts, 'protocol')}; acknowledged by ${countOf(acknowledged, 'by')}`,
    `recipients: ${countOf(verdicts, 'outcome')}; refused by greylisting ${refused('451 4.7.1')}, for want of its store ${refused('451 4.3.0')}, for want of space ${refused('452 4.3.1')}, since others of LMTP were ${refused('451 4.2.0')}, for another place ${refused('452 4.5.3')}, for good ${verdicts.filter(({ code }) => code >= 500).length}`,
    `doubled, the reply was lost: ${reasons.reset} reset by the sender, ${reasons.worker} with a worker, ${reasons.killed} with a place; while the store was away ${reasons.store}; not delivered again ${reasons.recognized}`,
    `tmp/ of the Maildirs: ${drafts.count} drafts of killed workers, and one that was put there: removed behind the next start`,
    ...services.flatMap(({ name, before, after }) => [
      `${name} at the start: ${describe(before)}`,
      `${name} at the end:   ${describe(after)}`,
    ]),
    ...findings.flatMap(key => result[key].map(line => `${key}: ${line}`)),
    summary(result),
  ]
}

function describe(usage) {
  const each = ({ MiB, descriptors, sockets }) => `${MiB} MiB, ${descriptors} descriptors, ${sockets} of them sockets`
  const [primary, ...workers] = usage
  return [`primary ${each(primary)}`, ...workers.map(worker => `worker ${each(worker)}`)].join('; ')
}

function countOf(list, key) {
  const counts = {}
  for (const each of list) counts[each[key]] = (counts[each[key]] ?? 0) + 1
  return Object.entries(counts)
    .map(([value, count]) => `${value} ${count}`)
    .join(', ')
}
