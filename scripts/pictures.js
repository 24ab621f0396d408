// `npm run pictures` makes the pictures of docs/pictures/ with Chromium. What they show is made up, the same each time.

import { once } from 'node:events'
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { metricsServer } from '../dist/lib/cli/metrics/http.js'
import { StatusBook } from '../dist/lib/cli/status/book.js'
import { StatusPage } from '../dist/lib/cli/status/status.js'
import { FakeClock } from '../dist/lib/testing/fake-clock.js'
import { xorshift } from '../dist/lib/testing/chunks.js'
import { openPage, startChromium } from '../dist/test/fixtures/chromium.js'

const FOLDER = fileURLToPath(new URL('../docs/pictures', import.meta.url))
const MINUTE = 60_000
const LARGEST = 100_000

const random = xorshift(7)
const upTo = most => Math.floor(random() * (most + 1))
const oneOf = list => list[upTo(list.length - 1)]

const SENDERS = [
  { client: '192.0.2.17', sender: '…@news.example.com', outcome: 'passes', rule: 'greylist', reason: 'not suspicious' },
  { client: '198.51.100.4', sender: '…@partner.example', outcome: 'passes', rule: 'greylist', reason: 'trusted client; a partner' },
  { client: '2001:db8:7::25', sender: '…@shop.example', outcome: 'passes', rule: 'greylist', reason: 'has passed before' },
  { client: '203.0.113.88', sender: '…@pills.example', outcome: 'waits', rule: 'greylist', reason: 'first attempt; noReverseName, heloMismatch' },
  { client: '203.0.113.90', sender: '…@win.example', outcome: 'refused', rule: 'suspicion', reason: '550 5.7.1 Listed by zen.dnsbl.example' },
  { client: '198.51.100.77', sender: '…@guess.example', outcome: 'refused', rule: 'allowRecipients', reason: '550 5.7.1 Relay not permitted' },
] // prettier-ignore
const RECIPIENT = '…@example.org'

const clock = new FakeClock()
const book = new StatusBook({ window: 1440 * MINUTE, clock })
for (let minute = 0; minute < 60; minute++) {
  await clock.tick(MINUTE)
  const isBusy = minute > 38 && minute < 46
  book.add(1, batchOf(clock.wallTime(), isBusy))
}

const page = new StatusPage({ book, name: 'mx.example.org', store: 'SQLite', mask: true, clock })
const source = { read: () => Promise.reject(new Error('no metrics')), whyNotReady: async () => null }
const sendTo = streams => page.sendTo(streams)
const web = metricsServer(source, { routes: page.routes, hosts: [], token: null, sendTo })
web.server.listen(0, '127.0.0.1')
await once(web.server, 'listening')
const browser = await startChromium()
mkdirSync(FOLDER, { recursive: true })
for (const colorScheme of ['light', 'dark']) {
  const context = await browser.newContext({ colorScheme, viewport: { width: 1000, height: 640 } })
  const shown = await openPage(context)
  await shown.goto(`http://127.0.0.1:${web.server.address().port}/status`)
  await shown.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  const path = join(FOLDER, `status-${colorScheme}.png`)
  await shown.screenshot({ path })
  const { size } = statSync(path)
  console.log(`${path}: ${size} octets`)
  if (size > LARGEST) process.exitCode = 1
}
await browser.close()
await web.close()

function batchOf(at, isBusy) {
  const seen = Array.from({ length: 2 }, () => oneOf(SENDERS))
  const waits = seen.filter(({ outcome }) => outcome === 'waits')
  const people = ({ client, sender }) => ({ client, sender, recipient: RECIPIENT })
  return {
    sessions: 3 + upTo(6),
    counts: {
      accepted: 6 + upTo(8),
      deferred: upTo(1),
      refused: upTo(1) * upTo(2),
      lost: upTo(1) * upTo(1),
      ruleDeferred: 2 + upTo(4) + (isBusy ? 12 + upTo(9) : 0),
      ruleRefused: 1 + upTo(3) + (isBusy ? 4 + upTo(4) : 0),
      connectionRefused: isBusy ? upTo(6) : 0,
    },
    signs: { noReverseName: upTo(3), heloMismatch: upTo(3), dynamicName: upTo(2), listed: upTo(1), noTls: upTo(2) },
    rules: {
      'greylist\npasses: not suspicious': 4 + upTo(4),
      'greylist\nwaits: first attempt': 2 + upTo(3),
      'greylist\npasses: retry after the delay': upTo(1),
      'suspicion\nrefused at RCPT': upTo(1),
      'allowRecipients\nrefused at RCPT': upTo(2),
    },
    decisions: seen.map(each => ({
      at,
      ...people(each),
      rule: each.rule,
      outcome: each.outcome,
      reason: each.reason,
    })),
    passes: [],
    waits: waits.map((each, i) => ({
      id: `${at}-${i}`,
      ...people(each),
      since: at,
      until: at + MINUTE,
      attempts: 1,
      observed: false,
      reason: 'noReverseName, heloMismatch',
    })),
    gone: [],
    answered: at,
    failed: null,
    entries: { unconfirmed: 412, passed: 1893, clients: 57, rates: 0, known: 0, octets: 655_360 },
  }
}
