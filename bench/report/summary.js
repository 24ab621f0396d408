// What a mail costs, in ten lines, out of the tables that were measured.

import { digits, median, ratios } from '../statistics.js'

const NO_DELAY = 'smtp-server, no greeting delay'

/** A line for each; null where its tables were not measured. */
const LINES = [
  tables => small(tables.kept, 'A mail of 1 KiB over a connection that is kept', ['smtp-server', 'Haraka', 'aiosmtpd']),
  tables => small(tables.pipelined, 'With pipelining', ['smtp-server']),
  tables => small(tables.new, 'With a connection of its own', [NO_DELAY, 'Haraka']),
  tables => small(tables.cold, 'The first 20,000 of a fresh process, the compiler included', [NO_DELAY]),
  ({ four, shapes }) =>
    four &&
    `A large mail, four at once: ${of(four, 'mailhandler')} µs a MiB, ${versus(four, 'mailhandler', ['smtp-server', 'smtp-sink (C)'])}${shapes ? `; the dearest lines (two dots each) ${of(shapes, 'SmtpHandler · .. CRLF')} µs a MiB in memory, where smtp-server takes ${of(shapes, 'smtp-server · .. CRLF')}` : ''}.`,
  ({ starttlsNew, starttlsResumed, implicitKept }) =>
    starttlsNew &&
    starttlsResumed &&
    implicitKept &&
    `STARTTLS and a mail: ${of(starttlsNew, 'mailhandler')} µs, ${of(starttlsResumed, 'mailhandler')} with a resumed TLS session (OpenSSL takes most of it; × ${ratio(starttlsNew, 'mailhandler', NO_DELAY)} of smtp-server); a mail over TLS that is kept ${of(implicitKept, 'mailhandler')} µs.`,
  ({ authPlain, authScram }) =>
    authPlain &&
    authScram &&
    `AUTH PLAIN and a mail: ${of(authPlain, 'mailhandler')} µs (× ${ratio(authPlain, 'mailhandler', NO_DELAY)} of smtp-server); SCRAM-SHA-256 ${of(authScram, 'mailhandler')} µs.`,
  ({ stored }) =>
    stored &&
    `Into a Maildir, flushed before the 250: ${[1, 10, 100].map(n => of(stored, `mailhandler · ${n}`)).join(', ')} mails a second over 1, 10 and 100 connections (Dovecot ${[1, 10, 100].map(n => of(stored, `Dovecot · ${n}`)).join(', ')}).`,
  ({ command }) =>
    command &&
    `As a gateway: ${of(command, 'SmtpHandler and relay()')} µs a mail of 1 KiB, ${of(command, 'mailhandler serve')} as the command is shipped, with log, metrics, lists and rates.`,
  ({ start, idle }) =>
    start &&
    idle &&
    `The command greets ${of(start, 'one worker')} ms after its start and holds ${beside(start, 'one worker')} MiB, ${beside(start, 'one worker, SQLite')} with greylisting; a connection that waits holds ${of(idle, 'mailhandler · 1000')} KiB.`,
]

/** The lines as a list in Markdown; '' if nothing that they tell was measured. */
export function summary(tables) {
  const byKey = Object.fromEntries(tables.map(table => [table.key, table]))
  return LINES.map(line => line(byKey))
    .filter(Boolean)
    .map(line => `- ${line}`)
    .join('\n')
}

function small(table, what, peers) {
  if (table === undefined) return null
  const cpu = median(table.figures.mailhandler)
  const rate = digits(1e6 / cpu)
  return `${what}: ${digits(cpu)} µs of a processor, so ${rate} a second; ${versus(table, 'mailhandler', peers)}.`
}

const of = ({ figures }, row) => (figures[row] ? digits(median(figures[row])) : '–')
const beside = ({ besides }, row) => (besides[row] ? digits(median(besides[row])) : '–')
const ratio = ({ figures }, row, peer) => (figures[peer] ? digits(median(ratios(figures[row], figures[peer]))) : '–')

function versus(table, row, peers) {
  return peers
    .filter(peer => table.figures[peer] !== undefined)
    .map(peer => `× ${ratio(table, row, peer)} of ${peer}`)
    .join(', ')
}
