// The configurations of the two `mailhandler serve` of a run.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { BOXES, DOMAINS } from './places.js'
import { Service } from './processes.js'

/** The networks of the senders: those for benchmarks, so that DNS knows nothing of them. [RFC 2544] */
const CLIENTS = '198.18.0.0/15'

/** Delivers by LMTP to a Maildir for each recipient. `disk` is null if it is never full. */
export function makeBoxes(folder, disk) {
  for (const box of BOXES) mkdirSync(join(folder, 'boxes', box, 'Maildir'), { recursive: true })
  const toml = () => [
    `[per_client]`,
    `except = ["127.0.0.0/8"]`,
    `[recipients]`,
    `domains = ["${DOMAINS.boxes}"]`,
    `[delivery]`,
    `maildir = "boxes/{local}/Maildir"`,
    `[[listen]]`,
    `address = "127.0.0.1:0"`,
    `protocol = "lmtp"`,
  ]
  return new Service('boxes', folder, toml, disk?.env)
}

/**
 * Takes mail by SMTP and LMTP, and passes it on; `smtp`, `lmtp` and `boxes` are ports. `redis` is the address of the store, or null for
 * SQLite.
 */
export function makeGateway(folder, { smtp, lmtp, boxes, redis }) {
  return new Service('gateway', folder, ({ onStoreError = 'accept' }) => [
    `[recipients]`,
    `domains = ${JSON.stringify(Object.values(DOMAINS))}`,
    `[per_client]`,
    `except = ["127.0.0.0/8", "${CLIENTS}"]`,
    `[greylist]`,
    redis === null ? `file = "greylist.db"` : `redis = "${redis}"`,
    `salt = "salt"`,
    `hold = "all"`,
    `delay = "500ms"`,
    `on_store_error = "${onStoreError}"`,
    `[suspicion]`,
    `timeout = "50ms"`,
    ...listen('smtp'),
    ...listen('lmtp'),
    `[upstream]`,
    `address = "127.0.0.1:${smtp}"`,
    `[upstream.pool]`,
    `idle = "1s"`,
    `[upstream.circuit]`,
    `pause = "500ms"`,
    ...route(DOMAINS.lmtp, lmtp),
    ...route(DOMAINS.boxes, boxes),
  ])
}

function listen(protocol) {
  return [`[[listen]]`, `address = "127.0.0.1:0"`, `protocol = "${protocol}"`, `proxy = ["127.0.0.0/8"]`]
}

function route(domain, port) {
  return [`[[routes]]`, `domains = ["${domain}"]`, `address = "127.0.0.1:${port}"`, `protocol = "lmtp"`]
}
