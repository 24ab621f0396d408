// What is known → the parts of the page that change, as HTML. The server makes them for the page and for its updates alike.

import { html, type Html, type HtmlValue } from '../../web/html.ts'
import type { Minute, StatusState, StoreHealth } from './book.ts'
import type { CountName } from './facts.ts'
import { plot, type Series } from './plot.ts'

/** The bars of the messages. */
export const MESSAGES: readonly Series[] = [
  { name: 'accepted', label: 'accepted' },
  { name: 'deferred', label: 'deferred' },
  { name: 'refused', label: 'refused' },
  { name: 'lost', label: 'lost with the client' },
]

/** The bars of the refusals. */
export const REFUSALS: readonly Series[] = [
  { name: 'ruleDeferred', label: 'for now (4yz)' },
  { name: 'ruleRefused', label: 'for good (5yz)' },
  { name: 'connectionRefused', label: 'connections' },
]

/** Minutes of a row in the tables of the plots. */
const ROW = 5

/** The parts that change, by the `id` of the element whose contents they are. */
export function parts(state: StatusState, store: string | null): Readonly<Record<string, Html>> {
  const { sums, minutes } = state
  return {
    sessions: html`${state.sessions}`,
    accepted: html`${sums.accepted}`,
    refusals: html`${sums.ruleDeferred + sums.ruleRefused + sums.connectionRefused}`,
    waiting: html`${state.waiting}`,
    store: storeWords(state.store, store),
    'messages-plot': plot(minutes, MESSAGES),
    'messages-rows': minuteRows(minutes, MESSAGES),
    'refusals-plot': plot(minutes, REFUSALS),
    'refusals-rows': minuteRows(minutes, REFUSALS),
    'decisions-rows': decisionRows(state),
    'waits-rows': waitRows(state),
    'passes-rows': passRows(state),
    'signs-rows': rows(
      2,
      state.signs.map(({ name, count }) => [name, number(count)]),
    ),
    'rules-rows': rows(
      3,
      state.rules.map(({ name, outcome, count }) => [name, outcome, number(count)]),
    ),
    'store-rows': storeRows(state),
  }
}

/** How long something took, in the two largest units. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return two(minutes, 'min', seconds % 60, 's')
  const hours = Math.floor(minutes / 60)
  return hours < 24 ? two(hours, 'h', minutes % 60, 'min') : two(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function two(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`
}

/** A moment: the time of day, and the date for what reads the page. */
function time(at: number): Html {
  const text = new Date(at).toISOString()
  return html`<time datetime="${text}">${text.slice(11, 19)}</time>`
}

function number(count: number): Html {
  return html`<span class="number">${count}</span>`
}

/** A client, sender or recipient. */
function address(text: string): Html {
  return html`<span class="address">${text}</span>`
}

/** A reason, which may be long. */
function words(text: string): Html {
  return html`<span class="reason">${text}</span>`
}

/** Rows of a table; one that says so if there is nothing. */
function rows(columns: number, cells: readonly (readonly HtmlValue[])[]): Html {
  if (cells.length === 0)
    return html`<tr>
      <td colspan="${columns}">nothing yet</td>
    </tr>`
  return html`${cells.map(
    row =>
      html`<tr>
        ${row.map(cell => html`<td>${cell}</td>`)}
      </tr>`,
  )}`
}

function decisionRows({ decisions }: StatusState): Html {
  return rows(
    7,
    decisions.map(({ at, client, sender, recipient, rule, outcome, reason }) => {
      const word = html`<span class="${outcome.replace(' ', '-')}">${outcome}</span>`
      return [time(at), word, rule, words(reason), address(client), address(sender), address(recipient)]
    }),
  )
}

function waitRows({ waits }: StatusState): Html {
  return rows(
    7,
    waits.map(({ since, until, attempts, client, sender, recipient, observed, reason }) => {
      const why = [observed ? 'would wait' : '', reason].filter(text => text !== '').join('; ')
      return [
        time(since),
        time(until),
        number(attempts),
        address(client),
        address(sender),
        address(recipient),
        words(why),
      ]
    }),
  )
}

function passRows({ passes }: StatusState): Html {
  return rows(
    6,
    passes.map(({ at, after, attempts, client, sender, recipient }) => {
      return [time(at), duration(after), number(attempts), address(client), address(sender), address(recipient)]
    }),
  )
}

/** The newest first, a row for five minutes. */
function minuteRows(minutes: readonly Minute[], series: readonly Series[]): Html {
  const groups = Array.from({ length: minutes.length / ROW }, (_, i) => minutes.slice(i * ROW, (i + 1) * ROW))
  return rows(
    series.length + 1,
    groups.toReversed().map(group => {
      const sum = (name: CountName): number => group.reduce((all, minute) => all + minute[name], 0)
      const begin: HtmlValue = html`from ${time(group[0]!.start)}`
      return [begin].concat(series.map(({ name }) => number(sum(name))))
    }),
  )
}

function isFailing({ answered, failed }: StoreHealth): boolean {
  return failed !== null && failed.at > (answered ?? 0)
}

function storeWords(health: StoreHealth, store: string | null): Html {
  if (store === null) return html`none`
  if (isFailing(health)) return html`<span class="refused">fails</span>`
  return health.answered === null ? html`not asked yet` : html`<span class="accepted">answers</span>`
}

function storeRows({ store: { answered, failed, entries }, sums }: StatusState): Html {
  const found: [string, HtmlValue][] = [
    ['last answer', answered === null ? 'none' : time(answered)],
    ['last failure', failed === null ? 'none' : html`${time(failed.at)} ${failed.error}`],
    ['failures in the last hour', number(sums.storeFailed)],
  ]
  if (entries !== null) {
    found.push(
      ['triplets that wait', number(entries.unconfirmed)],
      ['triplets that have passed', number(entries.passed)],
      ['clients that are counted', number(entries.clients)],
    )
    if (entries.octets !== null) found.push(['size', html`${(entries.octets / 2 ** 20).toFixed(1)} MiB`])
  }
  return html`${found.map(
    ([name, value]) =>
      html`<tr>
        <th scope="row">${name}</th>
        <td>${value}</td>
      </tr>`,
  )}`
}
