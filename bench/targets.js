// What the figures should be, as ratios within rounds, and whether they are.

import { BEFORE } from './servers.js'
import { median, ratios } from './statistics.js'

const LOOP = 'a loop over each octet'
const SHAPES = ['78-octet base64', '78-octet text', 'a CRLF', '.. CRLF', '..x… of 80']
const NO_DELAY = 'smtp-server, no greeting delay'
const ALLOW = 'mailhandler, bare newlines allowed'

const TARGETS = [
  { load: 'kept', of: 'mailhandler', against: 'smtp-server', atMost: 0.8 },
  { load: 'kept', of: 'mailhandler', against: 'floor: Duplex', atMost: 1.1 },
  { load: 'pipelined', of: 'mailhandler', against: 'smtp-server', atMost: 0.7 },
  { load: 'pipelined', of: 'mailhandler', against: 'floor: Duplex', atMost: 1.25 },
  { load: 'new', of: 'mailhandler', against: NO_DELAY, atMost: 0.65 },
  { load: 'new', of: 'mailhandler', against: 'floor: Duplex', atMost: 1.1 },
  { load: 'cold', of: 'mailhandler', against: NO_DELAY, atMost: 0.75 },
  { load: 'cold', of: 'mailhandler', against: 'floor: Duplex', atMost: 1.2 },
  ...['kept', 'pipelined', 'new', 'cold', 'one', 'four'].map(load => ({
    load,
    of: 'mailhandler',
    against: BEFORE,
    atMost: 1.03,
  })),
  { load: 'idle', of: 'mailhandler · 1000', against: `${BEFORE} · 1000`, atMost: 1.03 },
  { load: 'four', of: 'mailhandler', against: 'smtp-server', atMost: 0.45 },
  { load: 'four', of: 'mailhandler', against: 'floor: Duplex, every LF', atMost: 1.2 },
  { load: 'base64', of: ALLOW, against: 'floor: Duplex', atMost: 1.2 },
  { load: 'one', of: 'mailhandler', against: 'smtp-sink (C)', atMost: 0.25 },
  { load: 'four', of: 'mailhandler', against: 'smtp-sink (C)', atMost: 0.25 },
  { load: 'shapes', of: 'SmtpHandler · .. CRLF', against: 'smtp-server · .. CRLF', atMost: 0.02 },
  ...['SmtpHandler', 'MailHandler, raw', 'MailHandler, unstuffed'].map(subject => ({
    load: 'shapes',
    name: `${subject} · the dearest shape`,
    of: SHAPES.map(shape => `${subject} · ${shape}`),
    against: `${LOOP} · 78-octet text`,
    atMost: 1.5,
  })),
  { load: 'idle', of: 'mailhandler · 1000', against: 'floor: Duplex · 1000', atMost: 1.2 },
  { load: 'idle', of: 'mailhandler · 4000', against: 'floor: Duplex · 4000', atMost: 1.2 },
  { load: 'slow', of: 'mailhandler', against: 'smtp-server', atMost: 1 },
  { load: 'relayLarge', of: 'relay', against: 'bare pipe', atMost: 1.7 },
  { load: 'relayLarge', of: 'relay', against: 'mailhandler', atMost: 1.8 },
  { load: 'relayLarge', of: 'relay', against: 'Postfix, smtpd_proxy_filter', atMost: 0.4 },
  { load: 'relayKept', of: 'relay', against: 'bare pipe', atMost: 1.8 },
  { load: 'relayNew', of: 'relay', against: 'bare pipe', atMost: 1.2 },
  ...['starttlsNew', 'starttlsResumed'].map(load => ({ load, of: 'mailhandler', against: NO_DELAY, atMost: 0.8 })),
  { load: 'stored', of: 'mailhandler · 100', against: 'Dovecot · 100', atLeast: 0.8 },
  { load: 'command', of: 'mailhandler serve', against: 'SmtpHandler and relay()', atMost: 1.25 },
  { load: 'workers', of: '2 workers, a filter', against: '1 worker, a filter', atLeast: 1.6 },
]

/** Each target with the ratios of the rounds, where both sides were measured. */
export function judge(tables) {
  return TARGETS.flatMap(target => {
    const table = tables.find(({ key }) => key === target.load)
    const of = table && worst(table.figures, [target.of].flat())
    const against = table?.figures[target.against]
    if (of === undefined || against === undefined) return []
    const all = ratios(of, against)
    const ratio = median(all)
    const reached = 'atLeast' in target ? ratio >= target.atLeast : ratio <= target.atMost
    return [
      {
        ...target,
        name: target.name ?? target.of,
        title: table.title,
        ratio,
        min: Math.min(...all),
        max: Math.max(...all),
        reached,
      },
    ]
  })
}

/** The greatest figure of several rows, round by round. */
function worst(figures, names) {
  const rows = names.map(name => figures[name])
  if (rows.includes(undefined)) return undefined
  return rows[0].map((_figure, round) => Math.max(...rows.map(row => row[round])))
}
