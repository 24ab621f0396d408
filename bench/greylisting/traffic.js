// From the population to messages: who sends what from which hosts, and what DNS says of them. The same for the same seed.

import { chance } from './random.js'

const DAY = 86_400

/** What DNS and SPF say. */
export class Names {
  records = new Map()
  spf = new Map()
  listed = new Set()

  say(name, type, record) {
    this.records.set(`${type} ${name.toLowerCase()}`, [record])
  }
}

/** `{ messages, names }`: the messages of one side, wanted or unwanted, in the order of their first attempts. */
export function traffic(population, side, seed, names = new Names()) {
  const { site } = population
  const random = chance(side === 'wanted' ? seed : seed ^ 0x5eed)
  const days = site.warmUpDays + site.measuredDays
  const senders = new Senders(population[side], side, random, names)
  const messages = []
  const count = Math.round(site[`${side}PerDay`] * days)
  const starts = Array.from({ length: count }, () => Math.floor(random.next() * days * DAY)).toSorted((a, b) => a - b)
  for (const start of starts) {
    const pair = senders.pair(site)
    messages.push({
      row: pair.row,
      wanted: side === 'wanted',
      isMeasured: start >= site.warmUpDays * DAY,
      start,
      phase: random.next(),
      sender: pair.sender(messages.length),
      to: pair.to,
      host: hostChoice(pair, random),
    })
  }
  return { messages, names }
}

/** The host of each attempt: the same, or another one of the pool. */
function hostChoice({ pool, row }, random) {
  let host = pool[random.below(pool.length)]
  const change = Number(row.pool.perAttempt)
  let isFirst = true
  return () => {
    if (!isFirst && random.next() < change) host = pool[random.below(pool.length)]
    isFirst = false
    return host
  }
}

class Senders {
  #rows
  #side
  #random
  #names
  #hosts = 0
  #networks = 0
  #serial = 0
  #pools = new Map()
  #pairs = new Map()

  constructor(rows, side, random, names) {
    this.#rows = rows
    this.#side = side
    this.#random = random
    this.#names = names
  }

  /** A sender and a recipient: who have written before, or new ones. */
  pair({ familiar, recipients }) {
    const random = this.#random
    const row = random.row(this.#rows)
    const pairs = this.#pairs.get(row) ?? []
    this.#pairs.set(row, pairs)
    if (this.#side === 'wanted' && pairs.length > 0 && random.next() < familiar)
      return pairs[random.below(pairs.length)]
    const n = (this.#serial += 1)
    // A few organisations write most of the mail.
    const o = row.organisations === 'each' ? n : Math.floor(random.next() ** 2 * (row.organisations ?? 1))
    const domain = row.senders.replace('{o}', o).replace('{n}', n)
    const to = `r${random.below(recipients)}@here.example`
    const sender = row.verp ? m => `bounce+${m}-${to.replace('@', '=')}@${domain}` : () => `${word(n)}@${domain}`
    this.#saySpf(domain, row)
    const pair = { row, sender, to, pool: this.#pool(row, o) }
    pairs.push(pair)
    return pair
  }

  #saySpf(domain, { signs, spfPrefix = 32 }) {
    if (this.#names.spf.has(domain)) return
    const result = this.#random.kind(signs.spf) ?? 'pass'
    this.#names.spf.set(domain, { result, prefix: spfPrefix })
  }

  /** The hosts of an organisation, or of the provider that all organisations of the row use. */
  #pool(row, o) {
    const isShared = Array.isArray(row.pool.networks)
    const key = isShared ? row.id : `${row.id} ${o}`
    let pool = this.#pools.get(key)
    if (pool !== undefined) return pool
    const networks = isShared ? row.pool.networks : [this.#newNetwork()]
    pool = Array.from({ length: row.pool.addresses }, (_, i) => {
      const host = this.#hosts++
      const last = 1 + ((i * 7 + host) % 254)
      return this.#newHost(
        row,
        networks[i % networks.length].replace(/\.0\/24$/, `.${last}`),
        isShared ? host : o,
        host,
      )
    })
    this.#pools.set(key, pool)
    return pool
  }

  #newNetwork() {
    const n = this.#networks++
    return `${this.#side === 'wanted' ? 60 : 90}.${n >> 8}.${n & 255}.0/24`
  }

  #newHost({ host, signs }, address, o, n) {
    const names = this.#names
    const [random, reversed] = [this.#random, address.split('.').toReversed().join('.')]
    const own = host
      .replaceAll('{l}', 'abcdefgh'[n % 8])
      .replaceAll('{n}', n)
      .replaceAll('{o}', o)
    names.say(own, 'A', address)
    const kind = random.kind(signs.name)
    const name = { none: null, unconfirmed: `lost${n}.isp.example`, dynamic: dynamicName(address, n) }[kind] ?? own
    if (kind !== 'none') names.say(`${reversed}.in-addr.arpa`, 'PTR', name)
    if (kind === 'dynamic') names.say(name, 'A', address)
    if (kind === 'unconfirmed') names.say(name, 'A', '192.0.2.1')
    if (random.next() < signs.listed) names.say(`${reversed}.list.example`, 'A', '127.0.0.2')
    const confirmed = kind === 'none' || kind === 'unconfirmed' ? null : name
    return { address, confirmed, helo: random.kind(signs.helo) === 'mismatch' ? `pc-${n}` : own }
  }
}

const dynamicName = (address, n) => `${address.replaceAll('.', '-')}.customers.isp${n % 50}.example`

/** A local part without digits, which greylisting folds. */
const word = n =>
  `u${[...n.toString(26)].map(digit => 'abcdefghijklmnopqrstuvwxyz'[Number.parseInt(digit, 26)]).join('')}`
