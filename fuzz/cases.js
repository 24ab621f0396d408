// Cases of sessions: options, and the dialogue of a client that is mostly right and sometimes bent. A case is plain
// JSON; texts are Latin-1, a character is an octet. A group is what the client sends without waiting for a reply.

import { BAD, GOOD as GOOD_HEADERS } from './proxy-headers.js'
import { exchange, MECHANISMS } from './sasl.js'
import { ENVELOPES, VERBS } from './vocabulary.js'
import { makeDestruction, OF_FILTERS } from './destroy.js'
import { USUAL } from './model/auth.js'
import { isGone, JUDGES, TAKERS, VERDICTS } from './moods.js'

const GOOD = 12 // of moods that are not `ok`
const VERDICT_NAMES = Object.keys(VERDICTS)

/** With `mechanisms` the cases are about AUTH. */
export function makeOptions(random, { canUpgrade = false, mechanisms = null } = {}) {
  const choose = list => list[random.whole(0, list.length - 1)]
  const size = random.chance(0.3) ? choose([0, 40, 200, 1000]) : 4000
  const hasAuth = random.chance(mechanisms === null ? 0.4 : 1)
  return {
    bareNewline: choose(['normalize', 'reject', 'allow']),
    strictness: choose(['strict', 'interoperable', 'interoperable', 'lenient']),
    lmtp: random.chance(0.25),
    size,
    header: random.chance(0.2) ? choose([10, 60, 300]) : 2 ** 20,
    oversize: random.chance(0.2) ? 'close' : 'drain',
    unlawfulPipelining: random.chance(0.5) ? 'refuse' : 'allow',
    greeting: random.chance(0.03) ? 'refuse' : choose(['ok', 'later', 'ok', 'words']),
    extensions: {
      CHUNKING: random.chance(0.9),
      BINARYMIME: random.chance(0.8),
      '8BITMIME': random.chance(0.9),
      SMTPUTF8: random.chance(0.8),
      SIZE: random.chance(0.9),
      DSN: random.chance(0.3),
    },
    auth: hasAuth ? (random.chance(0.3) ? 'required' : 'offered') : null,
    authNeedsTls: random.chance(mechanisms === null ? 0.2 : 0),
    mechanisms: mechanisms ?? mechanismsFor(random),
    tls: random.chance(canUpgrade ? 0.7 : 0.1) ? (random.chance(0.3) ? 'required' : 'offered') : null,
    canUpgrade,
    xclient: random.chance(0.2),
    filters: random.chance(0.2),
    hooksIn: choose(['handler', 'handler', 'policy', 'delivery']),
    destroys: random.chance(0.12) ? makeDestruction(random) : null,
    limits: {
      commandLine: random.chance(0.2) ? 512 : 2048,
      authLine: 3000,
      recipients: random.chance(0.2) ? 2 : 100,
      errors: random.chance(0.15) ? 5 : 10_000,
      authFailures: 3,
    },
  }
}

/** Makes one case. */
export function makeCase(random, where = {}) {
  const options = makeOptions(random, where)
  const writer = new Writer(random, options)
  const units = []
  for (let left = random.whole(1, 14); left > 0; left--) units.push(...writer.next())
  const made = {
    kind: 'session',
    options: normalized(options),
    groups: grouped(random, units, options),
    end: endOf(random),
  }
  return where.canBeProxied && random.chance(0.3) ? { ...made, proxy: proxyHeader(random) } : made
}

/** PLAIN and LOGIN, all of them, or any. */
function mechanismsFor(random) {
  if (random.chance(0.3)) return USUAL
  const some = random.chance(0.3) ? MECHANISMS.filter(() => random.chance(0.5)) : []
  return some.length > 0 ? some : MECHANISMS
}

/** What a proxy says first, and whether a server may take it. */
function proxyHeader(random) {
  const isGood = random.chance(0.8)
  const headers = isGood ? GOOD_HEADERS : BAD
  return { header: headers[random.whole(0, headers.length - 1)], isGood }
}

/** What follows from other options. */
function normalized(options) {
  const { extensions, destroys } = options
  if (destroys?.place === 'offer') options.hooksIn = 'delivery'
  options.filters ||= OF_FILTERS.has(destroys?.place)
  extensions.BINARYMIME &&= extensions.CHUNKING
  extensions.SMTPUTF8 &&= extensions['8BITMIME']
  return options
}

function endOf(random) {
  return random.pick({ quit: 5, end: 3, reset: 1 })
}

const ENDS_GROUP = /^(?:DATA|EHLO|HELO|LHLO|AUTH|STARTTLS|\r?\n?$)/i

/** Units, each with `waits`, in groups: a lawful client waits where it has to, and sometimes it does not. */
function grouped(random, units, options) {
  const pipelines = random.next()
  const groups = []
  let group = []
  for (const unit of units) {
    group.push(unit)
    const mustWait = ENDS_GROUP.test(unit) && !random.chance(options.unlawfulPipelining === 'allow' ? 0.5 : 0.02)
    if (mustWait || !random.chance(pipelines)) {
      groups.push(group)
      group = []
    }
  }
  if (group.length > 0) groups.push(group)
  return groups
}

/** Writes units of a dialogue. */
export class Writer {
  constructor(random, options) {
    this.random = random
    this.options = options
    // With raw() the dots of transparency count towards limits.header; the model does not know that.
    const isTaker = name => name !== 'raw' || (options.header ?? Infinity) >= 2 ** 20
    const isUsed = name => options.destroys === 'said' || !isGone(name)
    this.takers = Object.keys(TAKERS).filter(name => isTaker(name) && isUsed(name))
    this.judges = Object.keys(JUDGES).filter(isUsed)
    this.number = 0
    this.begun = false
  }

  choose(list) {
    return list[this.random.whole(0, list.length - 1)]
  }

  mood() {
    return this.random.whole(0, GOOD) > 0 ? 'ok' : this.choose(this.judges)
  }

  /** In LMTP often one that answers by recipient. */
  taker() {
    const { random, takers, options } = this
    if (random.chance(0.5)) return 'read'
    const isByRecipient = options.lmtp && random.chance(0.6)
    return this.choose(isByRecipient ? takers.filter(name => name.startsWith('each')) : takers)
  }

  /** The next units of the dialogue. */
  next() {
    if (!this.begun) {
      this.begun = true
      const first = this.random.chance(0.9) ? [this.hello()] : []
      if (this.options.auth !== null && this.random.chance(0.6)) first.push(...this.auth())
      if (this.options.canUpgrade && this.random.chance(0.7)) first.push(this.line('STARTTLS'), this.hello())
      return first
    }
    const { random } = this
    const how = random.pick({
      data: 6,
      bdat: 6,
      envelope: 2,
      other: 4,
      auth: this.options.auth ? 1 : 0.1,
      bent: 2,
      xclient: this.options.xclient ? 1 : 0.1,
    })
    if (how === 'data') return [...this.envelope(), ...this.data()]
    if (how === 'bdat') return [...this.envelope(), ...this.bdat()]
    if (how === 'envelope') return this.envelope()
    if (how === 'auth') return this.auth()
    if (how === 'bent') return [this.bent()]
    if (how === 'xclient') return [this.line(this.choose(VERBS.proxy)), this.hello()]
    return [random.chance(0.15) ? this.hello() : this.line(this.choose(VERBS.other))]
  }

  /** A command, with an end that is sometimes wrong. */
  line(text) {
    const { random } = this
    const spaces = random.chance(0.03) ? this.choose([' ', '\t', '  ']) : ''
    return `${text}${spaces}${random.chance(0.02) ? this.choose(['\n', '\r\r\n', '\r\n\r\n', '\n\r\n']) : '\r\n'}`
  }

  hello() {
    const { random, options } = this
    const usual = options.lmtp ? 'LHLO' : random.chance(0.85) ? 'EHLO' : 'HELO'
    const verb = random.chance(0.03) ? this.choose(['LHLO', 'EHLO', 'HELO', 'ehlo']) : usual
    const mood = this.mood()
    const name = random.chance(0.06) ? this.choose(VERBS.names) : `${mood === 'ok' ? 'client' : mood}.example`
    return this.line(`${verb} ${name}`)
  }

  envelope() {
    const { random } = this
    this.number += 1
    const sender = `${this.mood()}-${this.mood()}-${this.taker()}-${this.number}`
    const parameters = this.parameters()
    const mail = random.chance(0.05) ? this.choose(ENVELOPES.mail) : `MAIL FROM:<${sender}@a.example>${parameters}`
    const lines = [this.line(mail)]
    const recipients = random.pick({ 0: 0.3, 1: 6, 2: 2, 3: 1, 5: 0.3 })
    for (let i = Number(recipients); i > 0; i--) {
      const rcpt = random.chance(0.06)
        ? this.choose(ENVELOPES.rcpt)
        : `RCPT TO:<${this.mood()}-${this.choose(VERDICT_NAMES)}-${this.number}${i}@b.example>`
      lines.push(this.line(rcpt))
    }
    return lines
  }

  parameters() {
    const { random } = this
    if (random.chance(0.6)) return ''
    const body = this.choose(['7BIT', '8BITMIME', 'BINARYMIME', 'BINARYMIME', 'binarymime'])
    return random.pick({
      [` BODY=${body}`]: 5,
      [` SIZE=${this.choose([0, 10, 100, 5000])}`]: 2,
      [' SMTPUTF8']: 1,
      [` SIZE=20 BODY=${body}`]: 1,
      [` ${this.choose(ENVELOPES.parameters)}`]: 1.5,
    })
  }

  /** Mail data: pieces that matter to framing, in any order. */
  content(length) {
    let text = ''
    const plain = this.random.chance(0.4)
    while (text.length < length) text += plain ? `${this.choose(ENVELOPES.lines)}\r\n` : this.choose(ENVELOPES.pieces)
    return text
  }

  data() {
    const length = Number(this.random.pick({ 0: 1, 5: 3, 60: 4, 300: 2, 1500: 0.5 }))
    const content = this.content(length)
    const stuffed = this.random.chance(0.8) ? content.replaceAll(/(^|\r\n)\./g, '$1..') : content
    const end = this.random.chance(0.97) ? (stuffed === '' || stuffed.endsWith('\r\n') ? '.\r\n' : '\r\n.\r\n') : ''
    return [this.line('DATA'), `${stuffed}${end}`]
  }

  bdat() {
    const { random } = this
    const units = []
    const chunks = random.whole(1, 4)
    for (let i = 1; i <= chunks; i++) {
      const content = random.chance(0.15) ? '' : this.content(Number(random.pick({ 1: 2, 20: 4, 200: 1 })))
      const last = i === chunks && random.chance(0.95) ? ' LAST' : ''
      if (random.chance(0.02)) units.push(this.line(this.choose(VERBS.bdat)))
      units.push(`${this.line(`BDAT ${content.length}${last}`)}${content}`)
      if (random.chance(0.04)) units.push(this.line(this.choose([...VERBS.other, 'DATA'])))
    }
    return units
  }

  auth() {
    const { random } = this
    if (random.chance(0.1)) return [this.line(this.choose(VERBS.auth))]
    const user = random.chance(0.8) ? 'ok' : this.choose(this.judges)
    const { mechanisms = USUAL } = this.options
    return exchange(random, this.choose(random.chance(0.95) ? mechanisms : MECHANISMS), {
      user,
      line: text => this.line(text),
    })
  }

  /** A line that is none. */
  bent() {
    const { random } = this
    const line = this.choose(VERBS.bent)
    if (line !== 'long') return this.line(line)
    return `${this.choose(['NOOP ', 'BDAT ', 'AUTH ', 'MAIL FROM:<', ''])}${'x'.repeat(this.choose([505, 506, 2040, 2046, 2200, 3100, 9000]))}${this.choose(['\r\n', '\r\n', '\n', ''])}`.slice(
      0,
      random.chance(0.05) ? 2048 : Infinity,
    )
  }
}
