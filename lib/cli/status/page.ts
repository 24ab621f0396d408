// The whole status page: one document, without a request for anything else.

import { html, trusted, type Html } from '../../web/html.ts'
import { PLOT_BOX, type Series } from './plot.ts'
import { SCRIPT } from './script.ts'
import { STYLE } from './style.ts'
import { MESSAGES, REFUSALS } from './view.ts'

// Their hashes are in the policy of the page: no space may be added.
const STYLE_ELEMENT = trusted(`<style>${STYLE}</style>`)
const SCRIPT_ELEMENT = trusted(`<script>${SCRIPT}</script>`)

type Parts = Readonly<Record<string, Html>>

/** What the page says of the server as a whole. */
export interface PageFacts {
  /** The name of the server. */
  readonly name: string
  /** The kind of the store, or null. */
  readonly store: string | null
  /** True if the local parts of addresses are left out. */
  readonly mask: boolean
}

/** Makes the document. */
export function page(parts: Parts, { name, store, mask }: PageFacts): string {
  const masked = mask ? 'The local parts of addresses are left out. ' : ''
  return String(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>mailhandler on ${name}</title>
          <link rel="icon" href="data:," />
          ${STYLE_ELEMENT}
        </head>
        <body>
          <header>
            <h1>mailhandler on ${name}</h1>
            <p>
              <span id="live" role="status">As it was when the page was loaded</span>
              <button id="pause" type="button" aria-pressed="false" hidden>Pause</button>
            </p>
          </header>
          <main>
            ${cards(parts)}
            <p>${masked}Times are UTC. Counts and tables begin with the start of the server.</p>
            <div class="pair">
              ${figure(parts, 'messages', 'Messages in the last hour', MESSAGES)}
              ${figure(parts, 'refusals', 'Refusals in the last hour', REFUSALS)}
            </div>
            ${section(parts, 'decisions', 'Last decisions', ['Time', 'Outcome', 'Rule', 'Reason', 'Client', 'Sender', 'Recipient'])}
            ${section(parts, 'waits', 'Who waits', ['Since', 'Passes from', 'Attempts', 'Client', 'Sender', 'Recipient', 'Why'])}
            ${section(parts, 'passes', 'Who passed, after how long', ['Time', 'After', 'Attempts', 'Client', 'Sender', 'Recipient'])}
            <div class="pair">
              ${section(parts, 'rules', 'Which rule decided, in the last hour', ['Rule', 'Outcome', 'Times'])}
              ${section(parts, 'signs', 'Signs of suspicion, in the last hour', ['Sign', 'Clients'])}
            </div>
            ${store === null ? null : section(parts, 'store', `The store: ${store}`, [])}
          </main>
          ${SCRIPT_ELEMENT}
        </body>
      </html> `,
  )
}

function cards(parts: Parts): Html {
  const all: [id: string, label: string][] = [
    ['sessions', 'Sessions now'],
    ['accepted', 'Messages accepted, last hour'],
    ['refusals', 'Refusals, last hour'],
    ['waiting', 'Recipients that wait'],
    ['store', 'Store'],
  ]
  return html`<dl class="cards">
    ${all.map(
      ([id, label]) =>
        html`<div>
          <dt>${label}</dt>
          <dd id="${id}">${parts[id]!}</dd>
        </div>`,
    )}
  </dl>`
}

function figure(parts: Parts, id: string, title: string, series: readonly Series[]): Html {
  const legend = series.map(({ label }, i) => {
    return html`<li>
      <svg viewBox="0 0 8 8" aria-hidden="true"><rect class="series${i}" width="8" height="8" /></svg>${label}
    </li>`
  })
  return html`<section class="${id}">
    <h2>${title}</h2>
    <figure>
      <svg
        id="${id}-plot"
        viewBox="${PLOT_BOX}"
        role="img"
        aria-label="${title}, a bar for each minute; the table has the numbers"
      >
        ${parts[`${id}-plot`]!}
      </svg>
      <figcaption>
        <ul class="legend">
          ${legend}
        </ul>
      </figcaption>
    </figure>
    <details>
      <summary>As a table</summary>
      ${scroll(parts, id, `${title}, as a table`, ['Five minutes', ...series.map(({ label }) => label)])}
    </details>
  </section>`
}

function section(parts: Parts, id: string, title: string, columns: readonly string[]): Html {
  return html`<section>
    <h2>${title}</h2>
    ${scroll(parts, id, title, columns)}
  </section>`
}

/** A table that scrolls by keyboard too. */
function scroll(parts: Parts, id: string, name: string, columns: readonly string[]): Html {
  const head = columns.map(column => html`<th scope="col">${column}</th>`)
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${name}">
    <table>
      ${
        columns.length > 0 &&
        html`<thead>
          <tr>
            ${head}
          </tr>
        </thead>`
      }
      <tbody id="${id}-rows">
        ${parts[`${id}-rows`]!}
      </tbody>
    </table>
  </div>`
}
